"""Ask a running exporter whether it is well: `python -m poolscope_exporter.commands.health [URL]`.

The health check of the container image, which has neither curl nor a need for a shell. It asks for
/healthz where `POOLSCOPE_LISTEN` says, on this machine, or for the URL that is given; it ends with
0, or with 1 and one line. A `listen` of a settings file or of a flag it does not know.
"""

import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence

TIMEOUT_S = 2.0
_ANY = {"", "0.0.0.0", "[::]", "::"}  # noqa: S104 - what is listened on, to be asked on loopback
_DEFAULT = "0.0.0.0:9736"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 where the exporter is well, 1 where it is not."""
    given = sys.argv[1:] if arguments is None else arguments
    url = given[0] if given else url_of(os.environ)
    try:
        _ask(url)
    except (OSError, ValueError) as exc:
        sys.stderr.write(f"{url}: {exc}\n")
        return 1
    return 0


def url_of(environment: Mapping[str, str]) -> str:
    """Return the address of /healthz on this machine."""
    host, _, port = environment.get("POOLSCOPE_LISTEN", _DEFAULT).rpartition(":")
    scheme = "https" if environment.get("POOLSCOPE_TLS_CERT") else "http"
    return f"{scheme}://{'127.0.0.1' if host in _ANY else host}:{port}/healthz"


def _ask(url: str) -> None:
    """Raise OSError, of which urllib's errors are a kind, where the answer is no success."""
    # Whose certificate it is makes no difference: nothing is told, and it is this machine's.
    context = ssl._create_unverified_context()  # noqa: S323, SLF001 - urllib has no public way
    # A proxy of the environment is for others: it would ask its own 127.0.0.1.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    opener.open(url, timeout=TIMEOUT_S).close()


if __name__ == "__main__":
    sys.exit(main())
