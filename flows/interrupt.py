"""Ctrl-C and SIGTERM: stop cleanly, and let the next run continue.

Most of a job may be cut anywhere, because everything is put once: there a signal raises
KeyboardInterrupt at once. Training is asked instead, so that it writes a last checkpoint; a second
signal cuts it too.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class StopSignal:
    """Whether this process was asked to stop."""

    asked: bool = False
    patient: bool = False
    """True while the work at hand looks at `asked` by itself."""

    def __call__(self) -> bool:
        """Say whether a stop was asked for."""
        return self.asked

    def ask(self) -> None:
        """Ask for a stop, as the first signal does."""
        self.asked = True

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Within the block the first signal is only noted."""
        self.patient = True
        try:
            yield
        finally:
            self.patient = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals within the block; outside the main thread nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of handlers
        again, self.asked = self.asked, True
        if again or not self.patient:
            raise KeyboardInterrupt
