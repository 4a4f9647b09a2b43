"""Tokens: whose each is, and what it is good for."""

import hmac

import pytest

from poolscope_exporter.listeners.tokens import Keyring, TokenUse, parse_tokens

SECRET, OTHER = "s3cr3t", "0th3r"


def test_each_line_is_a_token_with_its_owner() -> None:
    keyring = Keyring(parse_tokens(f"# a comment\n\n{SECRET} the checkout team\n{OTHER}\n"))

    assert keyring.owner_of_token(SECRET, TokenUse.PUSH) == "the checkout team"
    assert keyring.owner_of_token(OTHER, TokenUse.PUSH) not in (None, OTHER)
    assert keyring.owner_of_token("", TokenUse.PUSH) is None
    assert keyring.owner_of_token(SECRET[:-1], TokenUse.PUSH) is None
    assert keyring.owner_of_token("ü", TokenUse.PUSH) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty; it must hold the token"),
        ("# only a comment\n", "is empty"),
        (f"{SECRET} a\n{SECRET} b\n", "has a token twice"),
        (f"ok\n{SECRET}ü\n", "line 2 has a character that HTTP headers do not permit"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_without_its_tokens(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as info:
        parse_tokens(text)
    assert SECRET not in str(info.value)


def test_no_token_is_in_any_representation() -> None:
    assert SECRET not in repr(parse_tokens(SECRET))


@pytest.mark.parametrize("shown", ["", SECRET, OTHER, SECRET[:-1], "something else"])
def test_each_text_is_compared_with_every_token_in_constant_time(
    shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []
    compare = hmac.compare_digest

    def record(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return compare(one, other)

    keyring = Keyring(parse_tokens(f"{SECRET} a\n{OTHER} b\n"))
    monkeypatch.setattr(hmac, "compare_digest", record)
    assert bool(keyring.owner_of_token(shown, TokenUse.PUSH)) is (shown in (SECRET, OTHER))
    assert compared == [SECRET.encode(), OTHER.encode()]


@pytest.mark.parametrize(
    ("options", "reads", "pushes"),
    [("", True, True), (" use=read", True, False), (" use=push", False, True)],
)
def test_token_is_good_for_what_its_line_names(options: str, reads: bool, pushes: bool) -> None:
    keyring = Keyring(parse_tokens(f"{SECRET} grafana{options}\n"))
    assert (keyring.owner_of_token(SECRET, TokenUse.READ) == "grafana") is reads
    assert (keyring.owner_of_token(SECRET, TokenUse.PUSH) == "grafana") is pushes


def test_service_belongs_to_the_owner_that_the_file_gives_it_to() -> None:
    keyring = Keyring(parse_tokens(f"{SECRET} team a services=shop,billing\n{OTHER} team b\n"))
    assert keyring.may_push("team a", "shop")
    assert keyring.may_push("team a", "billing")
    assert not keyring.may_push("team a", "search")
    assert not keyring.may_push("team b", "shop")
    assert keyring.may_push("team b", "search")


@pytest.mark.parametrize("option", ["service=shop", "use=write", "services=", "use"])
def test_unknown_option_of_a_line_is_an_error_that_repeats_no_text(option: str) -> None:
    line = f"{SECRET} shop {option}\n"
    if "=" not in option:
        assert parse_tokens(line)[0].owner == "shop use"
        return
    with pytest.raises(ValueError, match="line 1 has an unknown option: after the name") as found:
        parse_tokens(line)
    assert "shop" not in str(found.value)
    assert SECRET not in str(found.value)
