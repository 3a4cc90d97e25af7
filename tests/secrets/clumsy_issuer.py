"""An issuer that refuses everybody, and repeats their secrets in its answers, as some do when they debug."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["ClumsyIssuer", "clumsy_issuer"]


class ClumsyIssuer(ThreadingHTTPServer):
    """The issuer, with what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received = ""

    @property
    def url(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: ClumsyIssuer

    def do_GET(self) -> None:
        self._refuse("")

    def do_POST(self) -> None:
        self._refuse(self.rfile.read(int(self.headers.get("content-length", 0))).decode())

    def _refuse(self, body: str) -> None:
        sent = f"{self.headers.get('authorization', '')} {body}"
        self.server.received += sent + "\n"
        answer = json.dumps({"error": "invalid_client", "error_description": sent}).encode()
        self.send_response(401, "no")
        self.send_header("www-authenticate", f'Bearer error="{sent.strip()[:200]}"')
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@contextmanager
def clumsy_issuer() -> Iterator[ClumsyIssuer]:
    """Run such an issuer for the duration of the block."""
    with ClumsyIssuer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
