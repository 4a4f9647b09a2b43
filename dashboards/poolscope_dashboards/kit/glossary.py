"""Explain the words to somebody who has never seen a pool."""

from poolscope_dashboards.kit.palette import DIAGNOSES

_DIAGNOSES = "\n".join(
    f"| `{word}` | {meaning} | {cure} |" for word, (_, meaning, cure) in DIAGNOSES.items()
)

GLOSSARY = f"""\
An application keeps a few open **connections** to its database in a **pool**. A request **checks
out** one, uses it, and **checks it in**. With every connection out, the next request **waits** in a
queue, and after the pool's time-out it fails.

| diagnosis | what is the matter | what helps |
|---|---|---|
{_DIAGNOSES}

| word | meaning |
|---|---|
| used, idle | connections that are out; connections that lie ready in the pool |
| overflow | open connections beyond `pool_size`, closed when they come back |
| leaked | out, and whoever took it is gone: nobody will return it |
| held | out for a second or longer, or with evidence of a leak |
| session | the same connection, as the database server sees it |
| headroom | how many more sessions the server's tightest limit admits |
| T1 …, C1 … | the documented thresholds and configuration checks: `alerts/thresholds.toml` |

Grey, a dash and "no data" mean that nobody knows: they are never a sign of health.
"""
