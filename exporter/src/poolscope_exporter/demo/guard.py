"""Guards, which clean up after this process if it dies before its own clean-up."""

import subprocess
from typing import Self

from poolscope_exporter.demo.accounts import Account


class Guard:
    """A shell that waits until this process is gone, and then runs `script`.

    The shell reads from a pipe that only this process holds open, so it wakes after any end of this
    process, also after SIGKILL. The `arguments` are `$1`, `$2` and so on.
    """

    def __init__(self, script: str, *arguments: str, account: Account) -> None:
        """Start the shell as `account`, in a separate session so that Ctrl-C does not reach it."""
        self._shell = subprocess.Popen(  # noqa: S603 - our own script; arguments are never code
            ["/bin/sh", "-c", f"read -r _; {script}", "guard", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            **account.process_arguments(),
        )

    def dismiss(self) -> None:
        """End the shell without running the script; repeated calls do nothing."""
        self._shell.kill()
        self._shell.wait()
        if self._shell.stdin is not None:
            self._shell.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.dismiss()
