"""Stage 1: the source, decoded and split, in this machine's work folder."""

from flows.job import Job
from storage.sources.prepare import Prepared
from storage.sources.prepare import prepare as prepare_source


def prepare(job: Job) -> Prepared:
    """Return the records of the recipe's source; milliseconds when they were prepared before.

    Raises:
        SourceError: the source is missing or unfit.
        LakeError: the store that holds it failed.
    """
    recipe = job.recipe
    with job.reporter.meter(f"Reading {recipe.source.uri}", "records") as meter:
        prepared = prepare_source(
            recipe.source,
            folder=job.work / "prepared",
            min_group=recipe.privacy.min_group,
            progress=meter.update,
        )
        meter.update(sum(prepared.rows.values()))
    for note in prepared.notes:
        job.reporter.say(f"  {note}")
    return prepared
