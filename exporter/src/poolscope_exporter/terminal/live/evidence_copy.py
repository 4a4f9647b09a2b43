"""Copy evidence to the clipboard of the user's terminal."""

from typing import Any

from textual.app import App


def copy_evidence(app: App[Any], text: str) -> None:
    """Copy a text, also over ssh, and report its size.

    The terminal must accept OSC 52; tmux needs `set -g set-clipboard on`.
    """
    app.copy_to_clipboard(text)
    lines = text.count("\n") + 1
    app.notify(f"{lines} lines of evidence copied to the terminal's clipboard", markup=False)
