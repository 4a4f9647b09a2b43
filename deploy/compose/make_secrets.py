"""Write the stack's passwords into ./secrets, new ones at each run that finds none.

The folder is for you alone. The files in it may be read by everybody who can enter it: Compose
mounts them as they are, and the containers run as users of their own.
"""

import argparse
import secrets
from pathlib import Path

FOLDER = Path(__file__).parent / "secrets"
RANDOM = ("postgres_password", "shop_password", "poolscope_password", "token", "grafana_password")


def main() -> None:
    """Make what is missing; leave what is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    folder: Path = parser.parse_args().folder
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in RANDOM:
        _write(folder / name, secrets.token_urlsafe(24))
    users = (name.removesuffix("_password") for name in ("shop_password", "poolscope_password"))
    passwords = {user: (folder / f"{user}_password").read_text("utf-8") for user in users}
    _write(folder / "pgbouncer_users", _users(passwords))
    _write(folder / "poolscope.toml", _console(passwords["poolscope"]))


def _users(passwords: dict[str, str]) -> str:
    return "".join(f'"{user}" "{password}"\n' for user, password in passwords.items())


def _console(password: str) -> str:
    return f'pgbouncers = ["postgresql://poolscope:{password}@pgbouncer:6432/pgbouncer"]\n'


def _write(path: Path, text: str) -> None:
    if not path.exists():
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)


if __name__ == "__main__":
    main()
