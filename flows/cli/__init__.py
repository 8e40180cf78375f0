"""The command line. Importing it is cheap: a command imports what it needs when it runs."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    from flows.cli.app import execute

    sys.exit(execute(sys.argv[1:] if arguments is None else arguments))
