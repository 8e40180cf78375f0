"""Commands that need a Prefect API say so in a sentence."""

import http.server
import threading

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.cockpit.deployments import check_api
from flows.errors import EngineError, RecipeError


def check(url):
    with temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 0}):
        check_api()


@pytest.fixture
def answering():
    """Return a function that answers every request with one status, and returns its address."""
    servers = []

    def answer(status):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/api"

    yield answer
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_api_that_answers_is_taken(answering):
    check(answering(200))


def test_without_an_api_it_says_how_to_get_one():
    with pytest.raises(RecipeError, match="set PREFECT_API_URL, or bring one up"):
        check(None)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, RecipeError, "refuses the login: set PREFECT_API_AUTH_STRING"),
        (404, EngineError, "answers 404: is it a Prefect API"),
    ],
)
def test_an_answer_of_another_kind_is_named(answering, status, error, words):
    with pytest.raises(error, match=words):
        check(answering(status))


def test_an_api_that_is_down_is_named():
    with pytest.raises(EngineError, match=r"http://127\.0\.0\.1:1/api does not answer"):
        check("http://127.0.0.1:1/api")
