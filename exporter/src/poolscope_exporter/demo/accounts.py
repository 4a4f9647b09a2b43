"""The account that runs PostgreSQL: this process's, or `nobody` if this process runs as root."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict


class ProcessArguments(TypedDict, total=False):
    """The arguments with which `subprocess` starts a process as another user.

    Empty for this user.
    """

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine; `is_ours` is True if this process already runs as that user."""

    uid: int
    gid: int
    is_ours: bool

    @classmethod
    def ours(cls) -> "Account":
        """Return the account of this process."""
        return cls(os.geteuid(), os.getegid(), is_ours=True)

    @classmethod
    def for_postgres(cls) -> "Account":
        """Return this process's account, or `nobody` for root.

        Raise LookupError without a `nobody`.
        """
        if os.geteuid() != 0:
            return cls.ours()
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError as error:
            raise LookupError(
                "PostgreSQL does not run as root, and this machine has no user 'nobody'; "
                "run the demo as an ordinary user"
            ) from error
        return cls(nobody.pw_uid, nobody.pw_gid, is_ours=False)

    def process_arguments(self) -> ProcessArguments:
        """Return the arguments of `subprocess.Popen` that start a process as this account."""
        if self.is_ours:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give_ownership(self, path: Path) -> None:
        """Make this account the owner of `path` and of everything below it."""
        if self.is_ours:
            return
        os.chown(path, self.uid, self.gid)
        for folder, subfolders, files in os.walk(path):
            for name in (*subfolders, *files):
                os.chown(Path(folder, name), self.uid, self.gid, follow_symlinks=False)
