"""The password of the moment: from a file or a command, and never in a message."""

import asyncio
import sys
from pathlib import Path

import pytest

from poolscope_exporter.polling import passwords
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError
from poolscope_exporter.polling.passwords import PasswordCommand, PasswordFile, passwords_of

SECRET = "s3cr3t"


def python(program: str) -> PasswordCommand:
    return PasswordCommand([sys.executable, "-c", program])


async def test_file_is_read_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("one\n")
    source = PasswordFile(path)
    assert await source.fetch() == "one"

    path.write_text(" two \r\nnot this\n")
    assert await source.fetch() == " two "


async def test_command_is_run_anew_each_time_and_its_first_line_counts(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    source = python(f"print(open({str(path)!r}).read()); print('not this' * 100_000)")
    assert await source.fetch() == "one"

    path.write_text("two")
    assert await source.fetch() == "two"


async def test_command_is_run_without_a_shell() -> None:
    assert await PasswordCommand(["/bin/echo", "$HOME; id"]).fetch() == "$HOME; id"


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (f"import sys; sys.exit('{SECRET}')", "ended with status 1"),
        (f"print('{SECRET}'); raise SystemExit(3)", "ended with status 3"),
        ("pass", "printed no password"),
        (f"print('\\n{SECRET}')", "printed no password"),
        (f"print('{SECRET}' * 100_000)", "first line is too long"),
    ],
)
async def test_command_without_a_password_is_one_reason_without_its_output(
    program: str, says: str
) -> None:
    with pytest.raises(ServerUnavailableError, match=says) as info:
        await python(program).fetch()
    assert info.value.reason is Reason.CREDENTIALS
    assert SECRET not in str(info.value)


async def test_what_a_command_writes_to_standard_error_is_dropped(
    capfd: pytest.CaptureFixture[str],
) -> None:
    program = f"import sys; print('{SECRET}', file=sys.stderr); print('one')"
    assert await python(program).fetch() == "one"
    assert SECRET not in "".join(capfd.readouterr())


async def test_command_that_hangs_is_ended_with_all_that_it_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passwords, "DEADLINE_S", 0.2)
    with pytest.raises(ServerUnavailableError, match="did not end within"):
        await PasswordCommand(["/bin/sh", "-c", "sleep 60 & wait"]).fetch()


async def test_what_a_command_leaves_behind_in_another_session_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passwords, "DEADLINE_S", 0.5)
    monkeypatch.setattr(passwords, "END_S", 0.1)
    left = "import subprocess; subprocess.Popen(['sleep', '20'], start_new_session=True)"
    async with asyncio.timeout(15):  # it keeps the output open for longer
        with pytest.raises(ServerUnavailableError, match="did not end within"):
            await python(left).fetch()


async def test_command_that_does_not_exist_is_told() -> None:
    with pytest.raises(ServerUnavailableError, match="cannot be run: No such file or directory"):
        await PasswordCommand(["/no/such/program"]).fetch()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file"),
        (b"", "first line of the password file is empty"),
        (b"\ns3cr3t", "first line of the password file is empty"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
async def test_file_without_a_password_is_one_reason(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ServerUnavailableError, match=says) as info:
        await PasswordFile(path).fetch()
    assert info.value.reason is Reason.CREDENTIALS
    assert SECRET not in str(info.value)


def test_without_either_the_password_is_left_to_libpq() -> None:
    assert passwords_of(None, None) is None
    assert isinstance(passwords_of(Path("x"), None), PasswordFile)
    assert isinstance(passwords_of(None, ("x",)), PasswordCommand)
