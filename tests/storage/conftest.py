"""Fixtures of the storage tests: an S3 server that answers what a test tells it to."""

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from storage.stores.interface import ObjectStore
from storage.stores.open import open_store
from storage.stores.settings import StorageProfile


@dataclass(frozen=True)
class Answer:
    """One scripted answer; `hang_up` closes the connection without any."""

    status: int = 200
    code: str = ""
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False
    length: int | None = None
    """A Content-Length that is not the body's own."""

    def content(self) -> bytes:
        if not self.code:
            return self.body
        text = f"<Error><Code>{self.code}</Code><Message>said so</Message></Error>"
        return b'<?xml version="1.0"?>' + text.encode()


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class ScriptedS3:
    """A server that gives its answers in turn, the last one for ever, and notes the requests."""

    def __init__(self) -> None:
        self.answers: deque[Answer] = deque()
        self.requests: list[Request] = []
        self._stores: dict[str, ObjectStore] = {}
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                owner.serve(self)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def script(self, *answers: Answer) -> None:
        self.requests.clear()
        self.answers = deque(answers)

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.requests.append(Request(handler.command, handler.path, headers, body))
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if answer.hang_up:
            handler.close_connection = True
            return
        content = answer.content()
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if "Content-Length" not in answer.headers:
            length = len(content) if answer.length is None else answer.length
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)
        handler.close_connection = answer.length is not None

    def profile(self, **changes: object) -> StorageProfile:
        host, port = self.server.server_address[:2]
        values = {"endpoint_url": f"http://{host}:{port}", "region": "us-east-1"}
        values |= {"key": "k", "secret": "s", "retry_deadline_s": 0.0}
        return StorageProfile(**(values | changes))

    def store(self, **changes: object) -> ObjectStore:
        """Return a store of this server; its deadline is 0 s: every operation is tried once.

        One client takes botocore a tenth of a second, so equal stores are one store.
        """
        name = repr(changes)
        if name not in self._stores:
            self._stores[name] = open_store("s3://bucket/prefix", self.profile(**changes))
        return self._stores[name]


@pytest.fixture(scope="session")
def scripted_server() -> Iterator[ScriptedS3]:
    """One such server for the session."""
    server = ScriptedS3()
    yield server
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture
def scripted_s3(scripted_server: ScriptedS3) -> ScriptedS3:
    """An S3 server that answers what the test tells it to."""
    scripted_server.script()
    return scripted_server


@pytest.fixture
def answer() -> type[Answer]:
    """The class of scripted answers."""
    return Answer
