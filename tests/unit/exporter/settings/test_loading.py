"""Settings: where they come from, and that all wrong ones are named at once."""

from pathlib import Path

import pytest

from poolscope_exporter.core.capacity.largest_fleet import LargestFleet
from poolscope_exporter.core.checks.thresholds import DEFAULTS, ThresholdId
from poolscope_exporter.core.model.endpoints import Endpoint, is_loopback
from poolscope_exporter.core.model.idle_timeouts import IdleSource
from poolscope_exporter.forwarding.upstream import UpstreamTarget
from poolscope_exporter.listeners.tokens import TokenUse
from poolscope_exporter.settings.loading import WrongSettingsError, load_settings
from poolscope_exporter.settings.model import ExporterSettings
from poolscope_exporter.settings.options import OPTIONS, VARIABLES_OF_THE_APP, unknown_variables
from poolscope_exporter.settings.servers import ServerTarget
from support.exporter.exporter_process import LOOPBACK_CERT, LOOPBACK_KEY

SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*VARIABLES_OF_THE_APP, *(option.variable for option in OPTIONS)):
        monkeypatch.delenv(variable, raising=False)


def server_of(**flags: str | list[str]) -> ServerTarget:
    """Return the one server that the flags describe, and the variables."""
    (target,) = load_settings({"dsn": "host=db", **flags}).targets
    return target


def problems_of(**flags: str) -> tuple[str, ...]:
    with pytest.raises(WrongSettingsError) as info:
        load_settings(flags)
    return info.value.problems


def owners(settings: ExporterSettings, token: str) -> int:
    """Return how many senders the settings know, among them the owner of the token."""
    keyring = settings.keyring()
    assert keyring
    assert keyring.owner_of_token(token, TokenUse.PUSH)
    return len(keyring.owners())


def test_defaults_receive_on_this_machine_alone() -> None:
    settings = load_settings({})

    assert settings.targets == ()
    assert settings.listen == Endpoint("0.0.0.0", 9736)
    assert settings.otlp_listen == Endpoint("127.0.0.1", 9737)
    assert settings.poll_interval_s == 5.0
    assert settings.keyring() is None


def test_a_flag_wins_over_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLSCOPE_POLL_INTERVAL_S", "7")
    assert load_settings({}).poll_interval_s == 7
    assert load_settings({"poll_interval_s": "9"}).poll_interval_s == 9


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:80", Endpoint("127.0.0.1", 80)),
        (":80", Endpoint("0.0.0.0", 80)),
        ("80", Endpoint("0.0.0.0", 80)),
        ("0", Endpoint("0.0.0.0", 0)),
        ("[::1]:65535", Endpoint("::1", 65535)),
    ],
)
def test_an_address_may_be_written_in_several_ways(text: str, endpoint: Endpoint) -> None:
    assert load_settings({"listen": text}).listen == endpoint


@pytest.mark.parametrize("text", ["65536", "host", "host:", "host:-1", "host:\uff18\uff10"])
def test_an_address_without_a_valid_port_is_refused(text: str) -> None:
    assert problems_of(listen=text) == (
        f"--listen={text}: must be host:port, :port or port, the port from 0 to 65535",
    )


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        ("0.19", False),
        ("0.2", True),
        ("300", True),
        ("300.1", False),
        ("nan", False),
        ("fast", False),
    ],
)
def test_the_poll_interval_has_a_range(text: str, is_good: bool) -> None:
    if is_good:
        assert load_settings({"poll_interval_s": text}).poll_interval_s == float(text)
    else:
        assert problems_of(poll_interval_s=text) == (
            f"--poll-interval={text}: must be seconds from 0.2 to 300",
        )


@pytest.mark.parametrize(
    ("text", "is_good"),
    [("0", False), ("0.5", True), ("16", True), ("4096", True), ("4096.1", False), ("nan", False),
     ("four", False)],
)  # fmt: skip
def test_the_cpus_of_a_server_have_a_range(text: str, is_good: bool) -> None:
    if is_good:
        assert server_of(server_cpus=text).cpus == float(text)
    else:
        assert problems_of(server_cpus=text) == (
            f"--server-cpus={text}: must be a number, more than 0 and at most 4096",
        )


@pytest.mark.parametrize(
    ("texts", "fleet"),
    [
        (["40"], LargestFleet((), 40)),
        (["shop=40"], LargestFleet((("shop", 40),))),
        (["shop=40", "jobs = 2", "5"], LargestFleet((("jobs", 2), ("shop", 40)), 5)),
        (["a=b=3"], LargestFleet((("a=b", 3),))),
    ],
)
def test_the_largest_fleet_is_a_number_for_each_service(
    texts: list[str], fleet: LargestFleet
) -> None:
    assert load_settings({"max_processes": texts}).largest == fleet
    assert load_settings({"max_processes": ",".join(texts)}).largest == fleet


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0", "must be a whole number from 1 to 100000"),
        ("shop", "must be a whole number from 1 to 100000"),
        ("=4", "must be NUMBER or SERVICE=NUMBER, each service once"),
        ("shop=4,shop=5", "must be NUMBER or SERVICE=NUMBER, each service once"),
        ("4,5", "has two numbers without a service; write SERVICE=NUMBER for all but one"),
    ],
)
def test_a_largest_fleet_that_is_none_is_refused(text: str, problem: str) -> None:
    assert problems_of(max_processes=text) == (f"--max-processes={text}: {problem}",)


def test_a_file_names_the_largest_fleet(tmp_path: Path) -> None:
    file = tmp_path / "poolscope.toml"
    for text, fleet in (
        ("40", LargestFleet((), 40)),
        ('["shop=40", "5"]', LargestFleet((("shop", 40),), 5)),
    ):
        file.write_text(f"max_processes = {text}\n")
        assert load_settings({"config": str(file)}).largest == fleet


def test_the_cpus_of_a_server_are_unknown_unless_they_are_set() -> None:
    assert server_of().cpus is None


def test_all_wrong_settings_are_named_at_once_without_their_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POOLSCOPE_DSN", f"postgresql://app:x@{SECRET}@db")
    monkeypatch.setenv("POOLSCOPE_POLL_INTERVAL_S", "0")
    monkeypatch.setenv("POOLSCOPE_SERVER_ALIASES", "db:5432,db2")
    monkeypatch.setenv("POOLSCOPE_LOG_LEVEL", "loud")

    problems = problems_of(listen="x", otlp_listen="y")

    assert [problem.partition(":")[0].partition("=")[0] for problem in problems] == [
        "POOLSCOPE_DSN",
        "POOLSCOPE_POLL_INTERVAL_S",
        "POOLSCOPE_SERVER_ALIASES",
        "--listen",
        "--otlp-listen",
        "POOLSCOPE_LOG_LEVEL",
    ]
    assert SECRET not in "".join(problems)


def test_aliases_come_from_one_variable_or_several_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    both = (Endpoint("a", 1), Endpoint("b", 2))
    assert server_of(server_aliases=["a:1", "b:2"]).aliases == both
    monkeypatch.setenv("POOLSCOPE_SERVER_ALIASES", "a:1, b:2")
    assert server_of().aliases == both


def test_bouncers_come_from_one_variable_or_several_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    consoles = [f"postgresql://s:{SECRET}@b{n}:6432/pgbouncer" for n in (1, 2)]
    from_flags = load_settings({"pgbouncers": consoles})
    monkeypatch.setenv("POOLSCOPE_PGBOUNCERS", ",".join(consoles))
    for settings in (from_flags, load_settings({})):
        assert [str(dsn) for dsn in settings.pgbouncers] == ["b1:6432", "b2:6432"]
        assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("consoles", "problem"),
    [
        (["postgresql://b1/pgbouncer", f"mysql://{SECRET}"], "2 of 2 is not a PostgreSQL DSN"),
        ([f"postgresql://s:{SECRET}@b1/shop"], "1 of 1 must name the database pgbouncer"),
        (
            ["postgresql://b1:1", "postgresql://x@b1:1/pgbouncer"],
            "has the same host and port twice",
        ),
    ],
)
def test_a_wrong_bouncer_is_one_problem_beside_the_others(
    consoles: list[str], problem: str
) -> None:
    with pytest.raises(WrongSettingsError) as info:
        load_settings({"pgbouncers": consoles, "poll_interval_s": "0"})

    found = info.value.problems
    assert len(found) == 2
    assert found[0].startswith(f"--pgbouncer: {problem}")
    assert SECRET not in "".join(found)


@pytest.mark.parametrize("address", ["0.0.0.0:9737", "10.0.0.1:9737", "[::]:9737", "db:9737"])
def test_receiving_from_other_machines_needs_a_token(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (problem,) = problems_of(otlp_listen=address)
    assert "needs a token: set POOLSCOPE_TOKEN or --token-file" in problem

    monkeypatch.setenv("POOLSCOPE_TOKEN", SECRET)
    (problem,) = problems_of(otlp_listen=address)
    assert "needs TLS: set --otlp-tls-cert and --otlp-tls-key, or --insecure-otlp" in problem

    settings = load_settings({"otlp_listen": address, "insecure_otlp": "true"})
    assert owners(settings, SECRET) == 1
    assert SECRET not in repr(settings)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.8.0.1:1", "[::1]:1", "localhost:1", "1"])
def test_receiving_on_this_machine_needs_none(address: str) -> None:
    assert is_loopback(load_settings({"otlp_listen": address}).otlp_listen.address)


def test_a_token_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n")

    settings = load_settings({"token_file": str(file)})

    assert owners(settings, SECRET) == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "must be a file that the exporter can read"), (" \n", "is empty")],
)
def test_a_token_file_without_a_token_is_one_problem(
    content: str | None, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)

    (found,) = problems_of(token_file=str(file))

    assert problem in found


def test_two_tokens_are_one_too_many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POOLSCOPE_TOKEN", SECRET)
    file = tmp_path / "token"
    file.write_text("other")

    (problem,) = problems_of(token_file=str(file))

    assert "keep one of the two" in problem
    assert SECRET not in problem


def test_a_server_is_named_by_its_address_unless_it_has_a_name() -> None:
    dsn = f"postgresql://u:{SECRET}@db/shop"
    assert load_settings({"dsn": dsn}).targets[0].name == "db:5432"
    assert load_settings({"dsn": dsn, "server_name": "main"}).targets[0].name == "main"


@pytest.mark.parametrize("name", ["", " "])
def test_a_server_has_a_name_that_can_be_seen(name: str) -> None:
    assert problems_of(dsn="host=db", server_name=name) == (
        f"--server-name={name}: must be a name",
    )


def test_the_case_of_a_variable_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("poolscope_poll_interval_s", "7")
    assert load_settings({}).poll_interval_s == 7


def test_what_depends_on_a_wrong_setting_is_not_reported_too() -> None:
    flags = {"otlp_listen": "0.0.0.0:1", "insecure_otlp": "true"}
    (problem,) = problems_of(token_file="/none", **flags)
    assert problem.startswith("--token-file=/none: ")


def test_a_variable_with_a_typing_error_is_pointed_out_and_those_of_the_app_are_not() -> None:
    warnings = unknown_variables(["POOLSCOPE_DNS", "POOLSCOPE_ENDPOINT", "POOLSCOPE_DSN", "PATH"])

    assert warnings == ["POOLSCOPE_DNS is not a setting of poolscope; did you mean POOLSCOPE_DSN?"]


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        ("0", True),
        ("0.5", True),
        ("1800", True),
        ("604800", True),
        ("604801", False),
        ("-1", False),
        ("x", False),
    ],
)
@pytest.mark.parametrize("kind", ["proxy", "nat"])
def test_the_idle_time_out_of_a_proxy_or_a_nat_has_a_range(
    kind: str, text: str, is_good: bool
) -> None:
    field = f"{kind}_idle_timeout_s"
    if is_good:
        settings = load_settings({field: text})
        assert getattr(settings, field) == float(text)
        assert [each.seconds for each in settings.configured_idle] == [float(text)]
    else:
        [problem] = problems_of(**{field: text})
        assert problem.startswith(f"--{kind}-idle-timeout={text}: must be seconds from 0 to 604800")


def test_no_proxy_is_assumed_unless_one_is_declared() -> None:
    assert load_settings({}).configured_idle == ()


def test_a_nat_and_a_proxy_are_told_apart() -> None:
    settings = load_settings({"proxy_idle_timeout_s": "1800", "nat_idle_timeout_s": "350"})
    assert [(each.source, each.seconds) for each in settings.configured_idle] == [
        (IdleSource.CONFIGURED, 1800.0),
        (IdleSource.NAT, 350.0),
    ]


CERT, KEY = (str(file) for file in (LOOPBACK_CERT, LOOPBACK_KEY))


@pytest.mark.parametrize("prefix", ["", "otlp_"])
def test_a_certificate_needs_its_key_and_a_key_its_certificate(prefix: str, tmp_path: Path) -> None:
    cert, key = f"{prefix}tls_cert", f"{prefix}tls_key"
    good = load_settings({cert: CERT, key: KEY})
    assert getattr(good, key) == LOOPBACK_KEY
    (alone,) = problems_of(**{cert: CERT})
    assert "set both or none" in alone
    (alone,) = problems_of(**{key: KEY})
    assert "set both or none" in alone
    (swapped,) = problems_of(**{cert: CERT, key: CERT})
    assert "must be the private key of the certificate" in swapped
    (missing,) = problems_of(**{cert: str(tmp_path / "none"), key: KEY})
    assert "must be a file that the exporter can read" in missing


def test_tls_is_as_good_as_a_mesh_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLSCOPE_TOKEN", SECRET)
    tls = {"otlp_tls_cert": CERT, "otlp_tls_key": KEY}
    assert load_settings({"otlp_listen": "0.0.0.0:1", **tls}).otlp_listen.address == "0.0.0.0"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://a", "must be http://host:port or https://host"),
        ("https://", "must be http://"),
        (f"https://user:{SECRET}@a", "must be http://"),
        ("https://a:99999", "must be http://"),
        ("http://127.0.0.1:9737", "is this exporter's own receiver"),
        ("http://localhost:9737/v1/metrics", "is this exporter's own receiver"),
        ("http://collector:4318", "would send the token of --forward-token-file unencrypted"),
    ],
)
def test_where_not_to_forward_to(url: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(SECRET)

    (found,) = problems_of(forward_to=url, forward_token_file=str(file))

    assert problem in found


@pytest.mark.parametrize("url", ["http://127.0.0.1:4318", "https://a.example/otlp", "http://a:1"])
def test_where_to_forward_to(url: str) -> None:
    settings = load_settings({"forward_to": url})
    assert settings.upstream == UpstreamTarget(url)


def test_a_token_has_no_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLSCOPE_TOKEN", f"{SECRET} and more")
    (problem,) = problems_of()
    assert problem == (
        "POOLSCOPE_TOKEN: must be one token without spaces; for several, use --token-file"
    )


def test_thresholds_are_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "thresholds.toml"
    file.write_text("[C1]\nmost = 50\n")
    assert load_settings({}).thresholds == DEFAULTS
    assert load_settings({"thresholds": str(file)}).thresholds[ThresholdId.C1].most == 50


def test_wrong_thresholds_are_told_all_at_once(tmp_path: Path) -> None:
    file = tmp_path / "thresholds.toml"
    file.write_text("[C1]\nmost = -1\n[T1]\nseverity = 'dire'\n")
    [problem] = problems_of(thresholds=str(file))
    assert problem.startswith(f"--thresholds={file}: ")
    assert "C1.most = -1: must be a number, 0 or more" in problem
    assert "T1.severity = dire: must be one of critical, warning, info" in problem


@pytest.mark.parametrize(
    "url",
    [
        "https://traces.example/trace/{trace_id}",
        "http://127.0.0.1:16686/trace/{trace_id}",
        "https://grafana.example/explore?left=%7B%22q%22:%22{trace_id}%22%7D&orgId=1",
        "https://traces.example/#/t/{trace_id}",
    ],
)
def test_where_traces_are_shown(url: str) -> None:
    assert load_settings({"trace_url": url}).trace_url == url


@pytest.mark.parametrize(
    "url",
    [
        "https://traces.example/trace/",
        "https://{trace_id}.example/",
        "https://traces.example{trace_id}",
        "https://traces.example/{trace_id}/{trace_id}",
        "https://traces.example/{trace_id}/{span_id}",
        "https://user:word@traces.example/{trace_id}",
        "javascript:alert('{trace_id}')",
        "//traces.example/{trace_id}",
        "https:///{trace_id}",
        "https://traces.example:port/{trace_id}",
        'https://traces.example/{trace_id}"onclick="x',
        "https://traces.example/a b/{trace_id}",
        "https://traces.example/{trace_id}\n",
        "https://traces.example/k\u00e4se/{trace_id}",
    ],
)
def test_what_is_no_address_of_a_trace_is_one_problem(url: str) -> None:
    (problem,) = problems_of(trace_url=url)
    assert "--trace-url" in problem or "TRACE_URL" in problem
    assert "{trace_id} once" in problem
