"""Everything that flows raises on purpose.

FlowsError
├── RecipeError        the recipe or an argument is wrong (exit 2)
├── ExtraMissingError  the command needs packages of `ganmill[jobs]` (exit 2)
├── AnswerError        a person's decision lacks a name or a reason, or cannot be done (exit 2)
├── BlockedError       the gate blocked, nothing was published (exit 3)
├── UnsentError        an event could not be sent; it stays pending, the next run sends it (exit 5)
├── EngineError        the workers that synthesize keep dying (exit 6)
├── SlotLostError      the GPU slot was lost while training; run again, it continues (exit 6)
└── StoppedError       Ctrl-C or SIGTERM; what was done stays, the next run continues (exit 130)

A message says what is wrong, the value received, and the remedy, in one sentence.
"""


class FlowsError(Exception):
    """Root of the tree."""


class RecipeError(FlowsError):
    """The recipe or an argument is wrong."""


class ExtraMissingError(FlowsError):
    """The command needs packages of `ganmill[jobs]`."""


class AnswerError(FlowsError):
    """A person's decision lacks a name or a reason, or cannot be done."""


class BlockedError(FlowsError):
    """The gate blocked, nothing was published."""


class UnsentError(FlowsError):
    """An event could not be sent; it stays pending, the next run sends it."""


class EngineError(FlowsError):
    """The workers that synthesize keep dying."""


class SlotLostError(FlowsError):
    """The GPU slot was lost while training; run again, it continues."""


class StoppedError(FlowsError):
    """The job was asked to stop; what was done stays, the next run continues."""
