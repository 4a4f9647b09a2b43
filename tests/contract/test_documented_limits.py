"""The numbers that docs promise of the receiver, exporter and incidents are those of the source."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from h11._connection import DEFAULT_MAX_INCOMPLETE_EVENT_SIZE

from poolscope.pushing.timeouts import unsent_reports
from poolscope_exporter.core.admission import points as admission
from poolscope_exporter.core.admission.limits import Limits
from poolscope_exporter.core.fleet import held_list, retention, series
from poolscope_exporter.core.model import exemplars
from poolscope_exporter.forwarding import forwarder, queue
from poolscope_exporter.listeners import bounded_http, servers, tls_gate
from poolscope_exporter.metrics import exposition
from poolscope_exporter.receiver import (
    attributes,
    bodies,
    decode,
    points,
    poolscope_push,
    request_size,
)
from poolscope_exporter.settings.declaration import options_of
from poolscope_exporter.settings.limits import LimitSettings
from poolscope_exporter.threads import line_writer
from support.documents.markdown import ROOT

NAMES = ("receiver.md", "exporter.md", "incident-history.md")
RECEIVER, EXPORTER, HISTORY = (ROOT / "docs" / name for name in NAMES)
KIB, MIB = 1024, 1024 * 1024
MINUTE_NS = 60 * 10**9
KEEP_ALIVE_S = servers.server_of(FastAPI(), bounded_http.BoundedProtocol).config.timeout_keep_alive

PROMISES = [
    (RECEIVER, text)
    for text in (
        f"up to {decode.MAX_RESOURCES:,} resources in a request",
        f"with at most {admission.MAX_ATTRIBUTES} attributes",
        f"cuts texts to {attributes.MAX_TEXT_LENGTH} characters",
        f"{attributes.MAX_TEXT_LENGTH} characters of a text attribute",
        f"{attributes.MAX_ATTRIBUTES} attributes of a point;",
        f"{attributes.MAX_REPORT_LENGTH:,} characters of the report of a time-out,",
        f"{poolscope_push.MAX_REPORTS} reports of a push;",
        f"{points.MAX_NAME_LENGTH} characters of a metric's name;",
        f"{decode.MAX_POINTS:,} points in a request;",
        f"{held_list.MAX_HELD} held checkouts of a process;",
        f"{exemplars.MAX_EXEMPLARS} exemplars of a series,",
        f"{DEFAULT_MAX_INCOMPLETE_EVENT_SIZE // KIB} KiB of headers",
        f"{KEEP_ALIVE_S} s of keep-alive;",
        f"{retention.LONGEST_INTERVAL_S:g} s for the interval that a push states;",
        f"{retention.DEFAULT_INTERVAL_S:g} s are assumed instead of a longer one",
        f"{bounded_http.READER_TIMEOUT_S:g} s for a client to read some of an answer",
        f"longer than {bounded_http.ANSWER_S:g} s to read an answer",
        f"more than {series.LATEST_NS // MINUTE_NS} minutes back",
        f"more than {request_size.MAX_MESSAGES:,} messages",
        f"exceed {bodies.BODIES_IN_FLIGHT} times the largest body",
        f"Bodies of up to {bodies._LARGE_BODY // KIB} KiB",
        f"Beyond {exposition.MAX_SCRAPES} at a time they get 503",
        f"at most {tls_gate.MAX_HANDSHAKES} handshakes at a time",
        f"{tls_gate.TLS_BUFFER // KIB} KiB each",
    )
] + [
    (EXPORTER, text)
    for text in (
        f"At most {queue.MAX_ITEMS:,} requests or {queue.MAX_BYTES // MIB} MiB wait",
        f"finishes open requests for at most {servers.DRAIN_S} s",
        f"up to {line_writer.MAX_WAITING_BYTES // MIB} MiB waits",
    )
]


PROMISES.append((HISTORY, f"A long report is cut** to {unsent_reports.MAX_TEXT:,} characters."))


def text_of(document: Path) -> str:
    return re.sub(r"\s+", " ", document.read_text())


@pytest.mark.parametrize(("document", "promise"), PROMISES, ids=[text for _, text in PROMISES])
def test_a_number_of_a_page_is_that_of_the_source(document: Path, promise: str) -> None:
    # No digit before it: 75 s of keep-alive are not 5 s.
    assert re.search(rf"(?<![\d.,]){re.escape(promise)}", text_of(document))


def test_numbers_in_words_are_those_of_the_source() -> None:
    assert request_size.MAX_TOKENS == 1_000_000
    assert "to a million tokens of JSON" in text_of(RECEIVER)
    assert (retention.MISSED_PUSHES, retention.COUNTER_RETENTION_S) == (3, 600)
    assert "After three intervals without a push" in text_of(RECEIVER)
    assert "Counters stay for ten minutes" in text_of(RECEIVER)
    assert "after 10 minutes without a push" in text_of(EXPORTER)
    assert (forwarder.RETRY_FOR_S, forwarder.STALE_S, forwarder.DRAIN_S) == (120, 0.5, 2)
    for words in ("for two minutes", "half a second old", "at most two seconds"):
        assert words in text_of(EXPORTER)


@pytest.mark.parametrize("option", options_of(LimitSettings), ids=lambda option: option.field)
def test_the_default_of_a_limit_is_in_its_row(option: object) -> None:
    flag, variable, name = option.flag, option.variable, option.field  # type: ignore[attr-defined]
    limit = getattr(Limits(), name.removesuffix("_mib"))
    number = limit // MIB if name.endswith("_mib") else limit
    unit = {"b": " MiB", "s": " s"}[name[-1]] if name.endswith(("_mib", "_s")) else ""
    assert f"| `{flag}`, `{variable}` | {number:,.0f}{unit} |" in text_of(RECEIVER)
