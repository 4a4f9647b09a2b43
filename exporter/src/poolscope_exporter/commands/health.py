"""Query the health of a running exporter: `python -m poolscope_exporter.commands.health [URL]`.

This is the health check of the container image, which has no curl and needs no shell. It requests
the given URL. Without one, it requests /healthz at the address in `POOLSCOPE_LISTEN`, on this
machine. It exits with 0, or with 1 and one line on standard error. It does not read a `listen` from
a settings file or a flag.
"""

import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence

TIMEOUT_S = 2.0
_ANY = {"", "0.0.0.0", "[::]", "::"}  # noqa: S104 - listening on any address includes loopback
_DEFAULT = "0.0.0.0:9736"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if the exporter is healthy, else 1."""
    given = sys.argv[1:] if arguments is None else arguments
    url = given[0] if given else url_of(os.environ)
    try:
        _ask(url)
    except (OSError, ValueError) as exc:
        sys.stderr.write(f"{url}: {exc}\n")
        return 1
    return 0


def url_of(environment: Mapping[str, str]) -> str:
    """Return the URL of /healthz on this machine."""
    host, _, port = environment.get("POOLSCOPE_LISTEN", _DEFAULT).rpartition(":")
    scheme = "https" if environment.get("POOLSCOPE_TLS_CERT") else "http"
    return f"{scheme}://{'127.0.0.1' if host in _ANY else host}:{port}/healthz"


def _ask(url: str) -> None:
    """Request the URL; raise OSError if it fails (urllib's errors are subclasses)."""
    # The certificate is not verified: it is this machine's exporter, and no secret is sent.
    context = ssl._create_unverified_context()  # noqa: S323, SLF001 - urllib has no public way
    # Without this, a proxy from the environment would connect to the proxy's 127.0.0.1.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    opener.open(url, timeout=TIMEOUT_S).close()


if __name__ == "__main__":
    sys.exit(main())
