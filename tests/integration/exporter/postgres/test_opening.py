"""How the one connection is opened: names resolved anew, addresses in turn, TLS by libpq."""

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.polling import opening
from poolscope_exporter.polling.dsn import parse_dsn
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError
from poolscope_exporter.polling.opening import Opening
from poolscope_exporter.polling.passwords import PasswordCommand
from poolscope_generators.ports import held_port
from support.postgres.server import make_role, run_sql

SECRET = "s3cr3t-token"


async def refusal_of(dsn: str) -> ServerUnavailableError:
    with pytest.raises(ServerUnavailableError) as info:
        await Opening(parse_dsn(dsn)).open()
    return info.value


async def test_a_name_is_resolved_anew_at_each_connect(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[str | None] = [None, "127.0.0.1", None]
    real = socket.getaddrinfo

    def resolve(host: str, *arguments: Any, **keywords: Any) -> Any:
        if host != "db.moving.test":
            return real(host, *arguments, **keywords)
        address = answers.pop(0)
        if address is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(address, *arguments, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    dsn = f"postgresql://postgres@db.moving.test:{postgres.port}/postgres"
    assert (await refusal_of(dsn)).reason is Reason.NAME_RESOLUTION
    connection = await Opening(parse_dsn(dsn)).open()
    await connection.close()
    assert (await refusal_of(dsn)).reason is Reason.NAME_RESOLUTION
    assert answers == []


async def test_addresses_are_tried_in_turn_even_where_one_answers_nothing(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "ATTEMPT_DEADLINE_S", 2)
    refusing = held_port()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ports = f"{refusing},{silent.getsockname()[1]},{postgres.port}"
        hosts = ",".join(["127.0.0.1"] * 3)
        dsn = f"host={hosts} port={ports} user=postgres dbname=postgres"
        connection = await Opening(parse_dsn(dsn)).open()
        assert connection.info.port == postgres.port
        await connection.close()


async def test_a_full_server_is_told_even_where_another_address_refuses(
    postgres: EmbeddedPostgres,
) -> None:
    refusing = held_port()
    make_role(postgres, "nobody_more")
    run_sql(postgres.dsn, "ALTER ROLE nobody_more CONNECTION LIMIT 0")
    dsn = f"host=127.0.0.1,127.0.0.1 port={postgres.port},{refusing} user=nobody_more"
    refusal = await refusal_of(f"{dsn} dbname=postgres")

    assert refusal.reason is Reason.ROLE_LIMIT
    assert 'too many connections for role "nobody_more"' in str(refusal)


async def test_a_password_command_is_run_for_each_connection_and_never_shown(
    tmp_path: Path,
) -> None:
    token = tmp_path / "token"
    command = PasswordCommand(["/bin/cat", str(token)])
    with EmbeddedPostgres(auth="scram-sha-256", password="right") as postgres:
        make_role(postgres, "cloud", password=SECRET)
        cloud = Opening(parse_dsn(postgres.dsn_for("cloud")), command)
        token.write_text("stale-token")
        with pytest.raises(ServerUnavailableError) as info:
            await cloud.open()
        token.write_text(SECRET)
        connection = await cloud.open()
        await connection.close()

    assert info.value.reason is Reason.AUTHENTICATION
    assert "stale-token" not in str(info.value) + repr(cloud)


async def test_tls_that_the_server_does_not_speak_is_one_clear_error(
    postgres: EmbeddedPostgres,
) -> None:
    refusal = await refusal_of(f"{postgres.dsn}?sslmode=require")

    assert refusal.reason is Reason.TLS
    assert "server does not support SSL, but SSL was required" in str(refusal)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, to make a certificate")
async def test_a_certificate_of_another_authority_is_one_clear_error(tmp_path: Path) -> None:
    make_certificate(tmp_path, "server")
    make_certificate(tmp_path, "other")
    with a_tls_server(tmp_path / "server.pem", tmp_path / "server.key") as port:
        dsn = f"postgresql://u:{SECRET}@127.0.0.1:{port}/d?sslmode=verify-full"
        unknown = await refusal_of(f"{dsn}&sslrootcert={tmp_path}/other.pem")
        missing = await refusal_of(f"{dsn}&sslrootcert={tmp_path}/none.pem")

    assert (unknown.reason, missing.reason) == (Reason.TLS, Reason.TLS)
    assert "certificate verify failed" in str(unknown)
    assert "does not exist" in str(missing)
    assert SECRET not in str(unknown) + str(missing)


def make_certificate(folder: Path, name: str) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"),
        ],
        check=True,
        capture_output=True,
    )


@contextlib.contextmanager
def a_tls_server(certificate: Path, key: Path) -> Iterator[int]:
    """Yield the port of a server that agrees to TLS as PostgreSQL does, and no more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_shake_hands, args=(listener, context))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client, contextlib.suppress(OSError):
            client.recv(8)  # SSLRequest
            client.sendall(b"S")
            context.wrap_socket(client, server_side=True).close()
