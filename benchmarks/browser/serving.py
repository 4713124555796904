"""A file host on this machine, and Chromium: what mien in the browser is tested and measured with."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".wasm": "application/wasm",
}
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


@dataclass
class Host:
    """Serves folders and single files, as any file host does, and can misbehave.

    Attributes:
        folders: prefix of the address -> folder, e.g. "/deep/down/" -> the page.
        files: address -> bytes and type, beside the folders.
        cut: addresses whose bodies break off in the middle.
        broken: addresses that answer 500.
        isolated: send the headers that isolate a page from other origins.
        asked: addresses that were asked for.
        sent: bytes of all bodies.
    """

    folders: dict[str, Path]
    files: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    isolated: bool = False
    asked: list[str] = field(default_factory=list)
    sent: int = 0
    port: int = 0

    def at(self, path: str) -> str:
        """The whole address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def find(self, path: str) -> tuple[bytes, str] | None:
        """What lies at a path."""
        if path in self.files:
            return self.files[path]
        for prefix, folder in self.folders.items():
            if path.startswith(prefix):
                file = folder / (path[len(prefix) :] or "index.html")
                if file.is_file() and file.resolve().is_relative_to(folder.resolve()):
                    return file.read_bytes(), TYPES.get(file.suffix, "application/octet-stream")
        return None


@contextmanager
def hosting(host: Host, port: int = 0) -> Iterator[Host]:
    """Serve until the end of the block; again on the same port where one is given."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            host.asked.append(path)
            found = None if path in host.broken else host.find(path)
            body, kind = found or (b"there is nothing here", "text/plain")
            self.send_response(200 if found else (500 if path in host.broken else 404))
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-cache")
            if host.isolated:
                for name, value in ISOLATED.items():
                    self.send_header(name, value)
            self.end_headers()
            host.sent += len(body)
            if path in host.cut:
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            else:
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
            """Silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A browser that went away is no fault."""

    server = Server(("127.0.0.1", port), Handler)
    host.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
