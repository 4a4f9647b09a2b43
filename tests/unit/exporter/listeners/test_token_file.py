"""The tokens of a file are those of its last good reading, whatever its volume does."""

import asyncio
import os
from pathlib import Path

import pytest

from poolscope_exporter.listeners.token_file import OVERDUE_S, TokenFile, keep_current
from poolscope_exporter.listeners.tokens import Keyring, Token, TokenUse, read_tokens

SECRET, OTHER = "s3cr3t", "0th3r"
NO_PATIENCE_S, LONG_S = 0.0, 60.0


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


def texts(tokens: tuple[Token, ...]) -> list[str]:
    return [token.text for token in tokens]


def block(file: Path) -> None:
    """Replace the file by a pipe that nobody writes to: it blocks its reader, as a dead mount."""
    file.unlink()
    os.mkfifo(file)


def unblock(file: Path, text: str) -> None:
    """Let the reader of the pipe read this text, and leave it in a file."""
    with file.open("w") as pipe:
        pipe.write(text)
    file.unlink()
    file.write_text(text)


def replace(file: Path, content: str | bytes | None) -> None:
    """Give the file other contents; with None, remove it."""
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())


async def test_tokens_of_a_file_that_changed_replace_the_others(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reader = TokenFile(file, read_tokens(file), patience_s=LONG_S)
    assert texts(await reader.latest_tokens()) == [SECRET]
    replace(file, f"{OTHER} checkout and more\n")

    assert texts(await reader.latest_tokens()) == [OTHER]
    assert [record.levelname for record in caplog.records] == []


@pytest.mark.parametrize("content", [None, "", "\n", b"\xff"])
async def test_file_that_was_lost_leaves_the_tokens_and_one_warning(
    file: Path, content: str | bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    reader = TokenFile(file, read_tokens(file), patience_s=LONG_S)
    replace(file, content)

    for _ in range(3):
        assert texts(await reader.latest_tokens()) == [SECRET]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the tokens stay as they were" in caplog.text
    assert SECRET not in caplog.text
    replace(file, f"{OTHER} checkout\n")
    assert texts(await reader.latest_tokens()) == [OTHER]


async def test_reading_that_hangs_leaves_the_tokens_and_one_warning(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    reader = TokenFile(file, read_tokens(file), patience_s=NO_PATIENCE_S, now=clock)
    block(file)

    assert texts(await reader.latest_tokens()) == [SECRET]
    assert caplog.messages == []
    for _ in range(3):
        clock.now_s += OVERDUE_S
        assert texts(await reader.latest_tokens()) == [SECRET]
    assert caplog.messages == [
        f"the token file {file} was not read within 10 s; the tokens stay as they were"
    ]

    unblock(file, f"{OTHER} checkout\n")
    assert reader._reading
    await asyncio.wait({reader._reading})
    assert texts(await reader.latest_tokens()) == [OTHER]


async def test_one_thread_reads_however_often_it_is_asked(file: Path) -> None:
    reader = TokenFile(file, read_tokens(file), patience_s=NO_PATIENCE_S)
    block(file)
    for _ in range(100):
        await reader.latest_tokens()
    assert len(reader._threads._threads) == 1
    assert reader._threads._jobs.qsize() <= 1, "the thread has it, or will have it"
    unblock(file, f"{SECRET} checkout\n")


async def test_file_that_was_never_read_has_no_tokens(file: Path) -> None:
    replace(file, None)
    with pytest.raises(ValueError, match="must be a file that the exporter can read"):
        await TokenFile(file, patience_s=LONG_S).latest_tokens()


async def test_loop_runs_on_while_the_file_hangs_and_a_keyring_gets_its_tokens(file: Path) -> None:
    keyring, stop = Keyring(read_tokens(file)), asyncio.Event()
    reader = TokenFile(file, keyring.tokens, patience_s=LONG_S)
    block(file)
    keeping = asyncio.create_task(keep_current(keyring, reader, stop))
    for _ in range(10):  # with the reading in this thread, the first turn would never end
        await asyncio.sleep(0)
    assert keyring.owner_of_token(SECRET, TokenUse.PUSH) == "checkout"

    unblock(file, f"{OTHER} checkout and more\n")
    stop.set()
    await keeping
    assert keyring.owner_of_token(OTHER, TokenUse.PUSH) == "checkout and more"
    assert keyring.owners() == {"checkout and more"}
