"""The hook accepts well-formed commit subjects, and says what is wrong with others."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from support.source.modules import ROOT


@pytest.fixture(scope="module")
def commit_subject() -> ModuleType:
    """Return the hook, which is a program and on nobody's import path."""
    path = ROOT / ".ci" / "commit_subject.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "message",
    [
        "receiver: answer 413 before the body is read",
        "receiver, docs: name the limits",
        "core/linking: keep a link over a poll that fails\n\nThe reason.\n",
        "a: " + "x" * 69,
        "Merge branch 'main' into lanes",
        "fixup! receiver: answer 413",
        "docs: say it\n# Please enter the commit message. Lines with # are left out.\n",
    ],
)
def test_a_good_subject_is_accepted(commit_subject: ModuleType, message: str) -> None:
    assert list(commit_subject.problems(message)) == []


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("Answer 413 before the body is read", "area: summary"),
        ("Receiver: answer 413", "area: summary"),
        ("receiver:answer 413", "area: summary"),
        ("", "area: summary"),
        ("a: " + "x" * 70, "73 characters; 72 are the most"),
        ("receiver: answer 413.", "no full stop"),
        ("receiver: answer 413\nThe reason.", "second line empty"),
    ],
)
def test_what_is_wrong_is_named(commit_subject: ModuleType, message: str, problem: str) -> None:
    [found] = commit_subject.problems(message)
    assert problem in found


def test_the_program_fails_for_a_bad_message(
    commit_subject: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = tmp_path / "COMMIT_EDITMSG"
    message.write_text("receiver: answer 413")
    assert commit_subject.main([str(message)]) == 0
    message.write_text("Answer 413")
    assert commit_subject.main([str(message)]) == 1
    assert "commit message: write the subject as" in capsys.readouterr().err
