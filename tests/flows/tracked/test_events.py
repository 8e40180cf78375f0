"""An event is told when the server has it, not when it stands in a queue."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import orjson
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.errors import UnsentError
from flows.tracked.show import send
from storage.lake.announce import PUBLISHED, Announcement

ANNOUNCEMENT = Announcement(
    event=PUBLISHED,
    resource="ganmill.dataset.digits",
    payload={"name": "digits", "version": "20260101T000000Z-0123abcd"},
)


@pytest.fixture
def api():
    """Return a function that starts a server which answers every request with one status."""
    servers, taken = [], []

    def start(status):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                taken.append((self.path, orjson.loads(body)))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self):  # a token that this server does not use
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/api", taken

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_server_has_it_when_the_call_returns(api):
    url, taken = api(204)
    with temporary_settings({PREFECT_API_URL: url}):
        send(ANNOUNCEMENT)
    ((path, (event,)),) = taken
    assert path == "/api/events"
    assert event["event"] == PUBLISHED
    assert event["resource"]["prefect.resource.id"] == "ganmill.dataset.digits"
    assert event["payload"] == dict(ANNOUNCEMENT.payload)


def test_what_the_server_refuses_is_not_sent(api):
    url, _ = api(422)
    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(UnsentError, match="422"):
        send(ANNOUNCEMENT)


def test_without_a_server_it_is_not_sent():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(UnsentError, match="running"):
        send(ANNOUNCEMENT)
