"""Take what Alertmanager sends and print a line for each alert: the log is the pager."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOST, PORT = os.environ.get("WEBHOOK_LISTEN", "127.0.0.1:9095").rsplit(":", 1)


class Webhook(BaseHTTPRequestHandler):
    """The path of a request is the receiver's name."""

    def do_POST(self) -> None:
        """Print the alerts of one notification."""
        length = int(self.headers.get("Content-Length", "0"))
        for alert in json.loads(self.rfile.read(length))["alerts"]:
            print(told(self.path.strip("/"), alert), flush=True)  # noqa: T201 - the container's log
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        """Answer the health check."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the log to alerts."""


def told(receiver: str, alert: dict[str, Any]) -> str:
    """Return the line of one alert."""
    labels, notes = alert["labels"], alert["annotations"]
    line = (receiver, alert["status"], labels.get("severity", ""), labels["alertname"])
    return "  ".join((*line, notes.get("summary", ""), notes.get("runbook_url", "")))


if __name__ == "__main__":
    ThreadingHTTPServer((HOST, int(PORT)), Webhook).serve_forever()
