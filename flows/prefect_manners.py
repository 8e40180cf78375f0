"""How Prefect behaves inside a command: set before it is imported; the user's own choices win.

Nothing is sent to anyone, its log goes to the UI and not over the progress bars, and its temporary
server may take its time on a busy machine.
"""

import os

MANNERS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
}


def apply_manners() -> None:
    """Put the manners into the environment of this process and its children."""
    for name, value in MANNERS.items():
        os.environ.setdefault(name, value)  # noqa: TID251 - Prefect reads it, ganmill does not
