#!/usr/bin/python3
"""Writes the alerts that Alertmanager sends to this host's journal, one line each."""

import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

PRIORITIES = {"critical": 2, "warning": 4}


class Receiver(BaseHTTPRequestHandler):
    """Takes Alertmanager's webhook."""

    def do_POST(self) -> None:
        """Log every alert of the message."""
        length = int(self.headers.get("Content-Length", 0))
        try:
            alerts = json.loads(self.rfile.read(length))["alerts"]
            lines = [self.line(alert) for alert in alerts]
        except (ValueError, KeyError, TypeError) as problem:
            self.send_error(400, type(problem).__name__)
            return
        print("\n".join(lines), flush=True)
        self.send_response(200)
        self.end_headers()

    def line(self, alert: dict[str, Any]) -> str:
        """One alert, with the journal's priority in front."""
        labels = alert["labels"]
        priority = PRIORITIES.get(labels.get("severity"), 5) if alert["status"] == "firing" else 5
        summary = alert.get("annotations", {}).get("summary", "")
        where = labels.get("instance", "")
        return f"<{priority}>{alert['status']}: {labels['alertname']} {where} {summary}"

    def log_message(self, *arguments: object) -> None:
        """Requests are not worth a line of their own."""


# The first process of a container has no default of its own: without this it outlives a shutdown.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
host, port = sys.argv[1].rsplit(":", 1)
HTTPServer((host, int(port)), Receiver).serve_forever()
