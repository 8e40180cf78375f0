"""Stage 5: a person decides, where the recipe wants it. Nobody can be asked outside of Prefect."""

from dataclasses import replace

from flows.approval import what_to_do
from flows.job import Job
from flows.results import Assessed, Choice


def ask(job: Job, assessed: Assessed, choice: Choice) -> Choice:  # noqa: ARG001 - a stage's signature
    """Return the choice; one that asks says what a person does, and nobody synthesizes."""
    if choice.question is None or choice.kind != "asked":
        return choice
    return replace(choice, reason=what_to_do(job.name, choice.question))
