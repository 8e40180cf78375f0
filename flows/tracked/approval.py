"""A question to a person: the flow run suspends, and its form in the UI takes the answer.

A suspended run holds neither process nor GPU nor the deployment's slot. When it is resumed the flow
starts from the top, in a new process and perhaps on another machine: the generator that was asked
about is kept among the run's inputs, so nothing is watched or trained again even if the source has
changed since. Only a run of a deployment can be suspended; another one does what the command line
does.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID

from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
)
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import PrefectHTTPStatusError
from prefect.input import RunInput
from pydantic import ConfigDict, Field

from flows.decision import LONGEST_REASON, answered, promote, worsened
from flows.errors import AnswerError
from flows.job import Answer, Assessed, Candidate, Choice, Job, Judged, Question, Stages, now
from flows.publish import announce
from flows.report.markdown import question_markdown
from flows.tracked import messages
from flows.tracked.show import judged_link
from flows.tracked.suspension import suspend_flow_run
from gan.report import Verdict
from storage.lake.damage import read_damage
from storage.sources.prepared import Prepared

ANSWER_WAIT_S = 7 * 24 * 3600
"""A question that nobody has answered for so long fails its run."""
MOST_QUESTIONS = 50
"""Of one run; a person who answers wrongly is asked again."""
MOST_WAITING = 200
"""Suspended runs that are looked through for the same question: what the API lists at once."""
SUSPENDED = "Suspended"
"""Prefect's name of the state."""
NOT_FOUND, CONFLICT = 404, 409
ASKED = "ganmill-question-{}"
"""Key of the run's input that keeps what was asked, counted from 1."""
PAUSE = "question-{}"
"""Key of the suspension that waits for the answer."""
RESPONSE = "suspended-question-{}-response"
"""Key of the run's input that Prefect keeps the form under, as it was sent."""


class ApprovalForm(RunInput):
    """The form of a suspended run."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, title="Decision")

    answer: Answer = Field(title="Decision")
    """publish: this generator becomes champion and publishes, refused or not. keep champion: it
    does not, and the champion publishes. stop: nothing is published."""
    by: str = Field(title="Your name", min_length=1, max_length=200)
    """Who decides; it goes into log and manifest."""
    reason: str = Field("", title="Reason", max_length=LONGEST_REASON)
    """Why, in writing; compulsory for publish. It goes into log and manifest."""


@dataclass(frozen=True, kw_only=True)
class AskedQuestion:
    """What a run has asked last."""

    number: int
    """Of the question, from 1."""
    name: str
    """Of the generator."""
    candidate: Candidate
    verdict: Verdict
    """That the person saw."""

    @property
    def subject(self) -> tuple[str, str, str, Verdict]:
        """What was asked about; equal subjects are the same question."""
        return self.name, self.candidate.version, self.candidate.snapshot_digest, self.verdict


def with_questions(job: Job, stages: Stages) -> Stages:
    """Return the stages of a flow run: it may ask, and goes on with the generator it asked about.

    A run without a deployment keeps the `ask` that it has.
    """
    run = runtime.flow_run.id
    if runtime.deployment.id is None or run is None:
        return stages
    inputs = RunInputs(UUID(run))
    last = last_question(inputs)

    def watch(prepared: Prepared) -> Candidate | None:
        if last is None or read_damage(job.lake, job.name, last.candidate.version) is not None:
            return stages.watch(prepared)
        job.reporter.say(f"Going on with generator {job.name}/{last.candidate.version}")
        return last.candidate

    def ask(assessed: Assessed, choice: Choice) -> Choice:
        if choice.question is None:
            return choice
        promote(job, assessed, choice)
        announce(job)
        return _answered(job, inputs, assessed, choice, choice.question)

    return replace(stages, watch=watch, ask=ask)


class RunInputs:
    """The inputs of one flow run: small JSON values that Prefect keeps with it."""

    def __init__(self, run: UUID) -> None:
        self.run = run

    def read(self, key: str) -> Any | None:
        """Return the value under a key, None where there is none."""
        with get_client(sync_client=True) as client:
            try:
                return json.loads(client.read_flow_run_input(self.run, key))
            except PrefectHTTPStatusError as error:
                if error.response.status_code == NOT_FOUND:
                    return None
                raise

    def write(self, key: str, value: Any) -> None:
        """Keep a value under a new key; once more when the first answer of the API was lost."""
        try:
            with get_client(sync_client=True) as client:
                client.create_flow_run_input(self.run, key=key, value=json.dumps(value))
        except PrefectHTTPStatusError as error:
            if error.response.status_code != CONFLICT or self.read(key) != value:
                raise


def last_question(inputs: RunInputs) -> AskedQuestion | None:
    """Return what the run asked last, None when it has not asked yet."""
    found = None
    for number in range(1, MOST_QUESTIONS + 1):
        value = inputs.read(ASKED.format(number))
        if value is None:
            break
        # The release before this one kept the candidate's train key too.
        kept = {key: item for key, item in value.pop("candidate").items() if key != "train_key"}
        found = AskedQuestion(number=number, candidate=Candidate(**kept), **value)
    return found


def open_elsewhere(asked: AskedQuestion, run: UUID) -> str | None:
    """Return the name of another run than this that waits for the answer to the same question."""
    for other, run_name in waiting_runs():
        theirs = None if other == run else last_question(RunInputs(other))
        if theirs is not None and theirs.subject == asked.subject:
            return run_name
    return None


def waiting_runs() -> list[tuple[UUID, str]]:
    """Return id and name of every flow run that is suspended, the newest first."""
    state = FlowRunFilterState(name=FlowRunFilterStateName(any_=[SUSPENDED]))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=state),
            sort=FlowRunSort.ID_DESC,
            limit=MOST_WAITING,
            offset=0,
        )
    return [(run.id, str(run.name)) for run in runs]


def _answered(
    job: Job, inputs: RunInputs, assessed: Assessed, choice: Choice, question: Question
) -> Choice:
    """Return what the last answer makes of the choice; without one that holds, suspend the run.

    When another run waits for the same answer, nobody synthesizes in this one.
    """
    judged, last = assessed.challenger, last_question(inputs)
    response = None if last is None else inputs.read(RESPONSE.format(last.number))
    complaint = ""
    if last is not None and response is not None:
        form = ApprovalForm.model_validate(response)
        complaint = _outlived(judged, last) if form.answer == "publish" else ""
        try:
            if not complaint:
                return answered(assessed, choice, form.answer, by=form.by, reason=form.reason)
        except AnswerError as error:
            complaint = str(error)
    asked = AskedQuestion(
        number=1 if last is None else last.number + 1,
        name=job.name,
        candidate=Candidate(version=judged.version, snapshot_digest=judged.snapshot_digest),
        verdict=judged.judgement.verdict,
    )
    other = open_elsewhere(asked, inputs.run)
    if other is not None:
        reason = f"the flow run {other!r} waits for the answer to the same question: answer there"
        return replace(choice, reason=f"{reason}; {question.why}")
    link = judged_link(job, judged)
    text = question_markdown(question, judged, link)
    if complaint:
        text = f"**Asked again: {complaint}.**\n\n{text}"
    said = messages.question_message(question, judged.judgement.verdict, now(), link)
    job.reporter.say(f"The run {said}")
    messages.mark_run((messages.verdict_word(asked.verdict), messages.WAITS), messages.WAITS)
    _suspend(inputs, asked, text, said)
    msg = "a flow run that asks goes on only after it was resumed"
    raise RuntimeError(msg)


def _outlived(judged: Judged, asked: AskedQuestion) -> str:
    """Return why a yes does not hold: it was to other files, or to a better verdict; else empty."""
    theirs = (asked.candidate.version, asked.candidate.snapshot_digest)
    if theirs != (judged.version, judged.snapshot_digest):
        return (
            f"the answer was on generator {theirs[0]} ({theirs[1][:12]}), and this is "
            f"{judged.version} ({judged.snapshot_digest[:12]}): look at the report and answer again"
        )
    return worsened(judged, asked.verdict)


def _suspend(inputs: RunInputs, asked: AskedQuestion, text: str, said: str) -> None:
    """Keep what is asked with the run, and raise Prefect's Pause, which ends this process."""
    # A key is never used twice: Prefect forgets the keys of its suspensions when a run that ended
    # is retried, and keeps the inputs.
    kept = asdict(asked)
    inputs.write(ASKED.format(kept.pop("number")), kept)
    form = ApprovalForm.with_initial_data(description=text)
    key = PAUSE.format(asked.number)
    suspend_flow_run(inputs.run, wait_for_input=form, key=key, timeout=ANSWER_WAIT_S, message=said)
