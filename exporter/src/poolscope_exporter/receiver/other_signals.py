"""Answer traces and logs: a sender with one shared endpoint pushes all three signals here.

They are not kept. The answer is a success with the number of rejected records, as OTLP defines it,
so that the sender goes on and nothing is hidden.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from poolscope_exporter.receiver import request_size
from poolscope_exporter.receiver.decode import MalformedPushError, TooManyMessagesError


@dataclass(frozen=True, slots=True)
class OtherSignal:
    """A signal that the exporter does not keep; the names are those of its JSON encoding."""

    name: str
    path: str
    resources: str
    scopes: str
    records: str
    reason: str

    def rejection(self, count: int) -> Message:
        """Return the answer to a request with so many records."""
        if self is TRACES:
            traces = ExportTraceServiceResponse()
            traces.partial_success.rejected_spans = count
            traces.partial_success.error_message = self.reason
            return traces
        logs = ExportLogsServiceResponse()
        logs.partial_success.rejected_log_records = count
        logs.partial_success.error_message = self.reason
        return logs


TRACES: Final = OtherSignal(
    "traces",
    "/v1/traces",
    "resourceSpans",
    "scopeSpans",
    "spans",
    "poolscope keeps metrics of connection pools only, no spans: send traces elsewhere with"
    " OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or set OTEL_TRACES_EXPORTER=none",
)
LOGS: Final = OtherSignal(
    "logs",
    "/v1/logs",
    "resourceLogs",
    "scopeLogs",
    "logRecords",
    "poolscope keeps metrics of connection pools only, no log records: send logs elsewhere with"
    " OTEL_EXPORTER_OTLP_LOGS_ENDPOINT, or set OTEL_LOGS_EXPORTER=none",
)
OTHER_SIGNALS: Final = (TRACES, LOGS)


def count_protobuf(body: bytes) -> int:
    """Return the number of spans or log records of a request, without decoding them.

    Raises MalformedPushError and TooManyMessagesError.
    """
    try:
        count = request_size.records_in(body)
    except ValueError as exc:
        raise MalformedPushError("the body is not an OTLP request in protobuf") from exc
    if count > request_size.MAX_MESSAGES:
        raise TooManyMessagesError
    return count


def count_json(body: bytes, signal: OtherSignal) -> int:
    """Return the number of records of a JSON request.

    Raises MalformedPushError and TooManyMessagesError.
    """
    if request_size.has_too_many_json_tokens(body):
        raise TooManyMessagesError
    try:
        request = json.loads(body)
        return sum(
            len(_list(scope, signal.records))
            for resource in _list(request, signal.resources)
            for scope in _list(resource, signal.scopes)
        )
    except (ValueError, RecursionError) as exc:
        raise MalformedPushError(
            f"the body is not an OTLP request of {signal.name} in JSON"
        ) from exc


def _list(holder: Any, name: str) -> list[Any]:
    found = holder.get(name, []) if isinstance(holder, dict) else None
    if not isinstance(found, list):
        raise ValueError(f"{name} is not a list")  # noqa: TRY004 - one error for every wrong shape
    return found
