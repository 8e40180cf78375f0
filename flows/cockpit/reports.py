"""The reports of local lakes, as pages in the browser: read-only, for this machine alone.

    /<lake>/datasets/<name>/_meta/<version>/report.html      of a committed version
    /<lake>/generators/<name>/<version>/reports/<digest>/report.html
    /<lake>/runs/<study>/reports/<digest>/report.html         of tuning

Nothing else is served: no shard, no manifest, nothing below `internal/`. The lakes are those of the
deployed recipes. It listens on the loopback address and answers only to its own names and to that
of a server in front of it (`GANMILL_REPORTS_URL`), so that a page from elsewhere cannot read a
report through a name that leads here.
"""

import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from flows.report_links import HEALTH, SERVED, is_local, lake_name
from storage.errors import StorageError
from storage.lake.datasets import versions
from storage.stores.interface import ObjectStore
from storage.stores.open import open_store
from storage.stores.settings import load_settings

HOST = "127.0.0.1"
POLL_S = 0.1
"""How often the thread looks whether it is to end."""
PAGE = r"report\.html"
_NAME = r"(?P<name>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)"
_VERSION = r"(?P<version>\d{8}T\d{6}Z-[0-9a-f]{8})"
_LAKE = re.compile(r"/(?P<lake>[0-9a-f]{12})/(?P<key>.+)")
_OF_DATASET = re.compile(rf"datasets/{_NAME}/_meta/{_VERSION}/{PAGE}")
_OF_GENERATOR = re.compile(rf"generators/{_NAME}/{_VERSION}/reports/[0-9a-f]{{16}}/{PAGE}")
_OF_STUDY = re.compile(rf"runs/[0-9a-f]{{64}}/reports/[0-9a-f]{{16}}/{PAGE}")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Lakes = Callable[[], Mapping[str, str]]
"""Returns the folder of every local lake by its name in addresses."""


def deployed_lakes() -> dict[str, str]:
    """Return the local lakes that deployed recipes name."""
    from flows.tracked.housekeeping import TAG, read_deployments

    found = [one.parameters.get("recipe") for one in read_deployments(tag=TAG)]
    lakes = [one.get("output", {}).get("lake") for one in found if isinstance(one, dict)]
    return {lake_name(uri): uri for uri in lakes if isinstance(uri, str) and is_local(uri)}


def find_page(lake: ObjectStore, key: str) -> bytes | None:
    """Return a report that may be shown; None for every other object.

    Raises:
        StorageError: the lake failed.
    """
    of_dataset = _OF_DATASET.fullmatch(key)
    others = (_OF_GENERATOR, _OF_STUDY)
    if of_dataset is None and not any(one.fullmatch(key) for one in others):
        return None
    if of_dataset is not None:
        committed = {one.version for one in versions(lake, of_dataset["name"])}
        if of_dataset["version"] not in committed:
            return None
    return lake.get(key) if lake.stat(key) is not None else None


class ReportServer(ThreadingHTTPServer):
    """Serves the reports of some lakes on the loopback address."""

    daemon_threads = True

    def __init__(self, port: int, api: str, lakes: Lakes) -> None:
        super().__init__((HOST, port), ReportHandler)
        self.about = f"{SERVED} {api}"
        self._read_lakes = lakes
        self._lakes: Mapping[str, str] = {}
        self._lock = threading.Lock()
        front = urlsplit(load_settings().reports_url or "").netloc
        self._names = {f"{HOST}:{self.server_port}", f"localhost:{self.server_port}", front} - {""}

    @property
    def url(self) -> str:
        """The address to put before a lake's name."""
        return f"http://{HOST}:{self.server_port}"

    def is_mine(self, host: str) -> bool:
        """Say whether a request names this server."""
        return host in self._names

    def page(self, path: str) -> bytes | None:
        """Return the page at a path, None where there is none.

        Raises:
            StorageError: the lake failed.
        """
        found = _LAKE.fullmatch(path)
        uri = None if found is None else self._lake(found["lake"])
        if found is None or uri is None:
            return None
        return find_page(open_store(uri, read_only=True), found["key"])

    def _lake(self, name: str) -> str | None:
        """Return a lake's folder; one that is new to us may have been deployed meanwhile."""
        with self._lock:
            if name not in self._lakes:
                self._lakes = self._read_lakes()
            return self._lakes.get(name)


class ReportHandler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    server: ReportServer
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Answer with a report, or with a sentence why not."""
        status, kind, body = self._answer()
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def _answer(self) -> tuple[HTTPStatus, str, bytes]:
        if not self.server.is_mine(self.headers.get("Host", "")):
            return HTTPStatus.MISDIRECTED_REQUEST, "text/plain", b"Not the name of this server."
        path = unquote(urlsplit(self.path).path)
        if path == HEALTH:
            return HTTPStatus.OK, "text/plain", self.server.about.encode()
        try:
            page = self.server.page(path)
        except Exception as error:  # noqa: BLE001 - one request fails, the server goes on
            what = f"The report cannot be read: {error}" if isinstance(error, StorageError) else ""
            text = what or f"The lakes cannot be asked for ({type(error).__name__})."
            return HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", text.encode()
        if page is None:
            text = "No report of a deployed recipe's lake is here; was the version retracted?"
            return HTTPStatus.NOT_FOUND, "text/plain", text.encode()
        return HTTPStatus.OK, "text/html", page

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal belongs to `ganmill up`."""


@contextmanager
def open_server(port: int, api: str, lakes: Lakes = deployed_lakes) -> Iterator[ReportServer]:
    """Serve in a thread while the block runs, at a port or at any free one where that is taken."""
    try:
        server = ReportServer(port, api, lakes)
    except OSError:
        server = ReportServer(0, api, lakes)
    with server:
        threading.Thread(
            target=server.serve_forever, args=(POLL_S,), name="reports", daemon=True
        ).start()
        try:
            yield server
        finally:
            server.shutdown()


def main(words: list[str]) -> None:
    """Serve until the process is ended: `python -m flows.cockpit.reports PORT API`, a service."""
    ReportServer(int(words[0]), words[1], deployed_lakes).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
