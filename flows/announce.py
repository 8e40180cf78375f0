"""When a job tells others: before it synthesizes, when it has published, when the gate blocked it.

An event that cannot be sent fails no job: it stays pending, and the next run sends it.
"""

from flows.errors import UnsentError
from flows.job import Job, now
from flows.results import Choice
from storage.lake.announce import BLOCKED, Announcement, announce_pending
from storage.lake.layout import generator_report_key


def announce(job: Job) -> list[Announcement]:
    """Send every event of the job's name that is pending, and return those that were sent.

    Raises:
        LakeError: the lake failed.
    """
    if job.emit is None:
        return []
    try:
        return announce_pending(job.lake, job.name, job.emit)
    except UnsentError as error:
        job.reporter.say(f"Not announced yet, the next run tries again: {error}")
        return []


def announce_blocked(job: Job, choice: Choice) -> None:
    """Say that the gate let nobody synthesize, once for every run that ends so.

    A refusal that is on record was announced with it. A run that repeats it, or that ends because
    the champion is blocked today, has no record of its own: killed before it could tell, it is
    the next run that ends the same way, and tells.
    """
    version = choice.judged.version
    if job.emit is None or any(
        one.event == BLOCKED and one.payload["version"] == version for one in announce(job)
    ):
        return
    try:
        job.emit(_blocked(job, choice))
    except UnsentError as error:
        job.reporter.say(f"Not announced: {error}")


def _blocked(job: Job, choice: Choice) -> Announcement:
    judged = choice.judged
    page = generator_report_key(job.name, judged.version, judged.report_digest, "report.html")
    payload = {
        "name": job.name,
        "version": judged.version,
        "kind": "blocked",
        "verdict": judged.judgement.verdict,
        "reason": choice.reason,
        "by": "gate",
        "number": "",
        "created": now().isoformat(),
        "snapshot_digest": judged.snapshot_digest,
        "report": f"{job.lake.uri}/{page}",
    }
    return Announcement(event=BLOCKED, resource=f"ganmill.generator.{job.name}", payload=payload)
