"""Print what is hard to read in the given files; without any, how readable each group of texts is.

`make prose` and `make check` run it.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from poolscope_generators.prose.findings import count, findings
from poolscope_generators.prose.groups import GROUPS, passages_of, rewritten


def main(arguments: Sequence[str]) -> int:
    """Return 1 if a given file has anything to mend, or without any, a file that was rewritten."""
    table = [] if arguments else list(_table())
    paths = map(Path, arguments) if arguments else rewritten()
    found = list(_findings(paths))
    sys.stdout.write("".join(f"{line}\n" for line in (*table, *found)))
    return 1 if found else 0


def _findings(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        for passage in passages_of(path):
            yield from map(str, findings(passage))


def _table() -> Iterator[str]:
    yield f"{'texts':<32}{'words':>8}{'markers':>9}{'long':>6}{'you':>7}  (per 1,000 words)"
    for group in GROUPS:
        found = count(passage for path in group.paths() for passage in passages_of(path))
        yield (
            f"{group.name:<32}{found.words:>8}{found.markers_per_1000:>9.1f}"
            f"{found.long_sentences:>6}{found.you_per_1000:>7.1f}"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
