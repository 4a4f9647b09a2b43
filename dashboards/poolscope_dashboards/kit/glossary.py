"""Explain the words to a reader who has never seen a pool."""

from poolscope_dashboards.kit.board import Section
from poolscope_dashboards.kit.charts import text
from poolscope_dashboards.kit.palette import DIAGNOSES

_DIAGNOSES = "\n".join(
    f"| `{word}` | {meaning} | {cure} |" for word, (_, meaning, cure) in DIAGNOSES.items()
)

GLOSSARY = f"""\
An application keeps a few open **connections** to its database in a **pool**. A request **checks
out** a connection, uses it, and **checks it in**. If every connection is out, the next request
**waits** in a queue. After the pool's time-out it fails.

| diagnosis | meaning | what helps |
|---|---|---|
{_DIAGNOSES}

| word | meaning |
|---|---|
| used, idle | connections that are out; connections that lie ready in the pool |
| overflow | open connections beyond `pool_size`, closed when they come back |
| leaked | out, although the work that took it has ended: nothing will return it |
| held | out for a second or longer, or with evidence of a leak |
| session | the same connection, as the database server sees it |
| headroom | how many more sessions the server's tightest limit admits |
| host:pid | a process: the host that it runs on, and its process id there |
| T1 …, C1 … | the documented thresholds and configuration checks: `alerts/thresholds.toml` |

Grey, a dash and "no data" mean unknown: they are never a sign of health.
"""


def words() -> Section:
    """Return the last row of each dashboard, which is closed."""
    panel = text("Words", GLOSSARY, "The meaning of the words on these dashboards.", height=20)
    return Section("Glossary", (panel,), is_open=False)
