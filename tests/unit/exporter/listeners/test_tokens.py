"""Tokens: whose each is, also while their file changes."""

from pathlib import Path

import pytest

from poolscope_exporter.listeners.tokens import LOOK_AGAIN_S, Keyring, parse_tokens, read_tokens

SECRET, OTHER = "s3cr3t", "0th3r"


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_text(f"{SECRET} checkout\n")
    return file


def a_keyring(file: Path, clock: Clock) -> Keyring:
    return Keyring(read_tokens(file), file, clock)


def test_each_line_is_a_token_with_its_owner() -> None:
    keyring = Keyring(parse_tokens(f"# a comment\n\n{SECRET} the checkout team\n{OTHER}\n"))

    assert keyring.owner_of_token(SECRET) == "the checkout team"
    assert keyring.owner_of_token(OTHER) not in (None, OTHER)
    assert keyring.owner_of_token("") is None
    assert keyring.owner_of_token(SECRET[:-1]) is None
    assert keyring.owner_of_token("ü") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty; it must hold the token"),
        ("# only a comment\n", "is empty"),
        (f"{SECRET} a\n{SECRET} b\n", "holds a token twice"),
        (f"ok\n{SECRET}ü\n", "line 2 holds a character that no header can carry"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_without_its_tokens(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as info:
        parse_tokens(text)
    assert SECRET not in str(info.value)


def test_no_token_is_in_any_representation() -> None:
    assert SECRET not in repr(parse_tokens(SECRET))


def test_a_file_that_changed_counts_from_the_next_look_on(file: Path) -> None:
    clock = Clock()
    keyring = a_keyring(file, clock)
    file.write_text(f"{OTHER} checkout and more\n")

    assert keyring.owner_of_token(SECRET) == "checkout"
    clock.now_s = LOOK_AGAIN_S
    assert keyring.owner_of_token(SECRET) is None
    assert keyring.owner_of_token(OTHER) == "checkout and more"
    assert keyring.owners() == {"checkout and more"}


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_file_that_was_lost_leaves_the_tokens_as_they_were(
    file: Path, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    keyring = a_keyring(file, clock)
    if content is None:
        file.unlink()
    else:
        file.write_text(content)

    for look in (1, 2, 3):
        clock.now_s = look * LOOK_AGAIN_S
        assert keyring.owner_of_token(SECRET) == "checkout"
    assert len(caplog.records) == 1
    assert SECRET not in caplog.text
