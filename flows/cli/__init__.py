"""The command line. Importing it is cheap: a command imports what it needs when it runs."""

import sys
import warnings
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    from flows.cli.app import execute

    # Pillow warns of pictures of 90 megapixels; it refuses those of 180, and that is said.
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit of")
    sys.exit(execute(sys.argv[1:] if arguments is None else arguments))
