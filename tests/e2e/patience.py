"""Waiting for other processes."""

import time


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
