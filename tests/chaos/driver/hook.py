"""A receiver of alerts that can fall ill in every way that HTTP knows, and get well again."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from datetime import datetime
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

IN_FLIGHT = 64
"""Notifications that may be on their way to a webhook, eight of them, or answered and not yet written down,
unless configured otherwise: as many may come again."""


class Illness(StrEnum):
    """How the receiver answers."""

    NONE = "well"
    BROKEN = "500"
    BUSY = "429"
    HANGING = "hangs"
    HALF = "half-way"


class Hook:
    """Keeps what it answered 200, in order; what it did not answer so it does not hold to have received."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.bodies: dict[str, dict[str, Any]] = {}
        self.arrived: dict[str, float] = {}
        self.illness = Illness.NONE
        self._healed = threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook._answer(self, self.headers["webhook-id"], body)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """Whoever sent may be dead by the time it is answered."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, handler: BaseHTTPRequestHandler, name: str, body: bytes) -> None:
        match self.illness:
            case Illness.NONE:
                self.bodies[name] = json.loads(body)
                self.ids.append(name)
                self.arrived.setdefault(name, time.time())
                self._status(handler, 200)
            case Illness.BROKEN:
                self._status(handler, 500)
            case Illness.BUSY:
                self._status(handler, 429, "Retry-After: 1")
            case Illness.HANGING:
                self._healed.wait(60)
                handler.close_connection = True
            case Illness.HALF:
                handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
                handler.close_connection = True

    @staticmethod
    def _status(handler: BaseHTTPRequestHandler, status: int, *headers: str) -> None:
        handler.send_response(status)
        for header in (*headers, "Content-Length: 0"):
            handler.send_header(*header.split(": ", 1))
        handler.end_headers()

    def fall(self, illness: Illness) -> None:
        """Answer so from now on."""
        self._healed.clear()
        self.illness = illness

    def heal(self) -> None:
        """Answer 200 again; who hangs is let go."""
        self.illness = Illness.NONE
        self._healed.set()

    def firing(self) -> list[dict[str, Any]]:
        """The alerts told as firing."""
        return [body["data"] for body in list(self.bodies.values()) if body["data"]["status"] == "firing"]

    def alerts(self) -> set[str]:
        """The ids of the alerts told as firing."""
        return {one["alert_id"] for one in self.firing()}

    def repeats(self) -> int:
        """How many notifications came more than once."""
        return sum(count - 1 for count in Counter(self.ids).values())

    def lateness(self) -> list[float]:
        """Seconds from the moment of each alert to its first arrival, ascending."""
        return sorted(
            self.arrived[name] - datetime.fromisoformat(body["data"]["at"]).timestamp()
            for name, body in list(self.bodies.items())
            if body["data"]["status"] == "firing"
        )

    def close(self) -> None:
        """End it."""
        self.heal()
        self._server.shutdown()
        self._server.server_close()
