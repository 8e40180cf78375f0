"""Prefect's environment in a command: defaults set before it is imported; the user's choices win.

Nothing is sent to anyone, its log goes to the UI and not over the progress bars, and its temporary
server may take its time on a busy machine.
"""

import os
from collections.abc import Mapping

FLUSH_S = 1
"""Its temporary server writes what it was sent at least this often."""
QUERY_S = 5
"""A worker asks this often for runs: who presses Run or answers a question does not wait for it."""

CONSOLE_LEVEL = "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"
ENVIRONMENT_DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    CONSOLE_LEVEL: "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_WORKER_QUERY_SECONDS": str(QUERY_S),
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": str(FLUSH_S),
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": str(FLUSH_S),
}


def apply_defaults(api_url: str | None, others: Mapping[str, str] | None = None) -> None:
    """Put the defaults, the API if one is named, and others into the environment Prefect reads."""
    if api_url is not None:
        os.environ["PREFECT_API_URL"] = api_url  # noqa: TID251 - Prefect reads it, ganmill does not
    os.environ.update(others or {})  # noqa: TID251 - Prefect reads it, ganmill does not
    for name, value in ENVIRONMENT_DEFAULTS.items():
        os.environ.setdefault(name, value)  # noqa: TID251 - Prefect reads it, ganmill does not


def process_environment() -> dict[str, str]:
    """Return the environment for a process of Prefect's that this one starts."""
    return dict(os.environ)  # noqa: TID251 - handed on as it is


def log_to_console() -> None:
    """Log as Prefect's own commands do, where nothing else is shown: a worker says what it takes.

    The processes that it starts keep the level they were given, as runs tell their progress.
    """
    from prefect.logging.configuration import setup_logging

    given = os.environ.get(CONSOLE_LEVEL)  # noqa: TID251 - Prefect reads it, ganmill does not
    if given == ENVIRONMENT_DEFAULTS[CONSOLE_LEVEL]:
        os.environ[CONSOLE_LEVEL] = "INFO"  # noqa: TID251 - Prefect reads it, ganmill does not
        setup_logging()
        os.environ[CONSOLE_LEVEL] = given  # noqa: TID251 - Prefect reads it, ganmill does not
