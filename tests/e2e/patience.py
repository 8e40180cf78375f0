"""Waiting for other processes."""

import time

import httpx

BUSY_S = 150
SAME_AGAIN = ("/filter", "/flows/", "/deployments/")
"""What is posted here is a question, or finds what is there already."""


def wait(check, limit_s=150, faults=()):
    """Return the first true answer, None when there is none in time.

    Args:
        check: asked again and again.
        limit_s: how long, in seconds.
        faults: errors that mean "not yet".
    """
    last_s = time.monotonic() + limit_s
    while time.monotonic() < last_s:
        try:
            found = check()
        except faults:
            found = None
        if found:
            return found
        time.sleep(0.3)
    return None


class PatientTransport(httpx.HTTPTransport):
    """Asks again while SQLite is busy, as Prefect's own client does and a person would.

    Where asking twice changes no more than once, also after a busy server gave no answer in time.
    """

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        last_s = time.monotonic() + BUSY_S
        while True:
            try:
                answer = super().handle_request(request)
            except httpx.ReadTimeout:
                asked_again = request.method == "GET" or request.url.path.endswith(SAME_AGAIN)
                if not asked_again or time.monotonic() > last_s:
                    raise
                continue
            busy = answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
            if not busy or time.monotonic() > last_s:
                return answer
            answer.close()
            time.sleep(1)
