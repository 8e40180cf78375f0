"""A person moves the champion: makes a generator champion, or goes back to a former one.

Nothing is trained, measured or published; the next run of the recipe publishes from what was
chosen (`flows.decision`).
"""

from dataclasses import replace

from flows.decision import checked_signature
from flows.errors import RecipeError
from flows.job import now
from gan.report import Report
from storage.digests import sha256_hex
from storage.lake import promotions, registry
from storage.lake.damage import read_damage
from storage.lake.layout import check_name, generator_key, is_version, snapshot_key
from storage.lake.promotions import GATE, Promotion, PromotionDraft, Standing
from storage.stores.interface import ObjectStore

SHOWN = 6
"""As many known versions as a message lists."""


def promote_by_hand(
    lake: ObjectStore, name: str, version: str, *, by: str, reason: str
) -> Promotion:
    """Make a generator champion on a person's word, and return the record that says so.

    Nothing is trained, measured or published; the next run of the recipe judges the new champion,
    which may have been champion before.
    Where the gate refused its newest report, or refused it when it decided on it last, the record
    is an override, which holds for these files whatever the gate says of them later; else it is a
    promotion.

    Raises:
        AnswerError: the name or the reason is missing.
        RecipeError: there is no such generator, or it was never evaluated.
        PromotionConflictError: the champion changed meanwhile.
    """
    by, reason = checked_signature(by, reason, must_say=True)
    _check_known(lake, name, version)
    snapshot_digest = sha256_hex(lake.get(snapshot_key(name, version)))
    found = newest_report(lake, name, version, snapshot_digest)
    if found is None:
        msg = (
            f"generator {name}/{version} was never evaluated, or with other files: run `ganmill "
            "evaluate RECIPE` first"
        )
        raise RecipeError(msg)
    digest, report = found
    draft = PromotionDraft(
        kind="promote",
        version=version,
        snapshot_digest=snapshot_digest,
        report_digest=digest,
        by=by,
        reason=reason,
    )

    def rule(standing: Standing) -> PromotionDraft:
        last = standing.last_refusal(version)
        if report.verdict == "block" or standing.was_refused(version, digest):
            return replace(draft, kind="override")
        if last is not None and last.by == GATE:
            return replace(draft, kind="override", report_digest=last.report_digest)
        return draft

    return promotions.decide_by_hand(lake, name, rule, created=now())


def roll_back(
    lake: ObjectStore, name: str, version: str | None = None, *, by: str, reason: str
) -> Promotion:
    """Make a former champion champion again, and return the record that says so.

    Without a version it is the one before the champion. The next run publishes from it, whatever
    the gate says, unless a fact is broken that its newest report does not know.

    Raises:
        AnswerError: the name or the reason is missing.
        RecipeError: there is no such former champion.
        PromotionConflictError: the champion changed meanwhile.
    """
    by, reason = checked_signature(by, reason, must_say=True)
    _check_known(lake, name, version)
    target = rollback_target(name, promotions.standing(lake, name), version)
    _check_known(lake, name, target)
    found = newest_report(lake, name, target)
    draft = PromotionDraft(
        kind="rollback",
        version=target,
        snapshot_digest=sha256_hex(lake.get(snapshot_key(name, target))),
        report_digest="" if found is None else found[0],
        by=by,
        reason=reason,
    )
    return promotions.decide_by_hand(lake, name, lambda _: draft, created=now())


def newest_report(
    lake: ObjectStore, name: str, version: str, snapshot_digest: str | None = None
) -> tuple[str, Report] | None:
    """Return digest and report of a generator's last evaluation; None when there was none.

    With a snapshot digest only reports on these very files count. Of two that were made in the same
    second, the one that also says whether it helps is the later one.
    """
    stored = [
        lake.get(info.key)
        for info in list(lake.list(generator_key(name, version, "reports/")))
        if info.key.endswith("/report.json")
    ]
    found = [(sha256_hex(data), Report.from_json(data)) for data in stored]
    if snapshot_digest is not None:
        found = [pair for pair in found if pair[1].snapshot_digest == snapshot_digest]
    return max(
        found, key=lambda pair: (pair[1].created, pair[1].lift is not None, pair[0]), default=None
    )


def _check_known(lake: ObjectStore, name: str, version: str | None) -> None:
    """Refuse a name without generators, and a version that is no complete generator of it."""
    known = registry.candidates(lake, check_name(name))
    if not known:
        names = ", ".join(registry.list_generators(lake)) or "none"
        msg = f"{lake.uri} has no generator {name!r}; its generators are: {names}"
        raise RecipeError(msg)
    if version is not None and version in known and read_damage(lake, name, version) is not None:
        msg = f"the files of {name}/{version} are damaged: run its recipe, which trains it again"
        raise RecipeError(msg)
    if version is not None and (not is_version(version) or version not in known):
        newest = ", ".join(reversed(known[-SHOWN:]))
        msg = f"there is no generator {version!r} of {name!r}; the newest are {newest}"
        raise RecipeError(msg)


def rollback_target(name: str, standing: Standing, version: str | None) -> str:
    """Return the former champion that a rollback is to; without a version, the one before today's.

    Raises:
        RecipeError: there is no such former champion.
    """
    champion, past = standing.champion, standing.champion_history
    if version is None:
        if len(past) > 1:
            return past[-2]
        known = "no champion" if champion is None else f"{champion.version} as only champion"
        msg = f"generator {name!r} has {known}, so there is nothing to roll back to"
        raise RecipeError(msg)
    if champion is not None and champion.version == version:
        msg = f"{version} is the champion of {name!r} already; name a former one"
        raise RecipeError(msg)
    if not standing.was_promoted(version):
        former = sorted({r.version for r in standing.records if r.kind != "reject"})
        msg = (
            f"{version} of {name!r} was never champion, so promote it instead; champions were: "
            f"{', '.join(former) or 'none'}"
        )
        raise RecipeError(msg)
    return version
