"""`ganmill init`: a commented recipe made from the data.

The source is opened and surveyed by the builder of its modality, the recipe that follows is tried
as `ganmill check` would, and what a refusal proposes goes into the recipe until nothing is in the
way. It is written as YAML with the reason of every choice.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar

import yaml

from flows.cli.check import REFUSALS, describe
from flows.cli.output import Output
from flows.errors import DONE, RecipeError, presentable
from flows.job import opened
from flows.nightly import prepare
from flows.progress import make_reporter, shards_words
from flows.recipe import Recipe, apply_change, apply_proposal, parse_recipe
from storage.errors import LakeError, SourceError
from storage.records.proposal import Proposal
from storage.records.schema import class_title
from storage.sources.builder import load_builder
from storage.sources.open import open_source, recognised
from storage.sources.overlap import find_overlap
from storage.sources.survey import Survey

T = TypeVar("T")
LAKES: Final = ("./lake", "./synthetic", "../lake", "../synthetic", "../../synthetic")
"""Proposed for the lake, the first that the source does not overlap."""
SHOWN_CLASSES: Final = 12
NIGHTLY: Final = ("schedule.cron=0 3 * * *", "synthesis.seed=night")
"""Changes of a recipe that runs by itself, each night's version a new one."""
ACCEPT_UNKNOWN: Final = Proposal(
    setting="gate.accept_unknown",
    value=True,
    why="these records cannot show all that the gate asks for, see above; false where it matters",
)
MOST_TRIES: Final = 30
"""So often is what a refusal proposes tried before it is taken for the last word."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A recipe that `ganmill check` accepts, and how it came about."""

    recipe: Recipe
    survey: Survey
    proposals: tuple[Proposal, ...]
    """In the order in which they were made; of one setting the last one holds."""
    said: frozenset[str]
    """Settings that the user gave."""
    described: Mapping[str, Any]
    """What `ganmill check` finds in the data by this recipe."""


def show_recipe(
    uri: str,
    *,
    label: str | None,
    name: str | None,
    changes: Sequence[str] = (),
    nightly: bool = False,
) -> int:
    """Read the source, then print a recipe that `ganmill check` accepts.

    `label` is a column, or the name for the class of image folders. The changes are settings that
    the recipe shall have whatever the data propose; `nightly` adds a schedule and a seed that is
    new every night.

    Raises:
        SourceError: the source is missing, or unfit whatever a recipe says.
        RecipeError: a change is not one of a setting.
    """
    wanted = (*NIGHTLY, *changes) if nightly else changes
    Output().line(write_recipe(draft_recipe(uri, label=label, name=name, changes=wanted)))
    return DONE


def draft_recipe(
    uri: str, *, label: str | None, name: str | None, changes: Sequence[str] = ()
) -> Draft:
    """Return the recipe that the data propose, and that nothing is in the way of."""
    asked: dict[str, Any] = {"name": name or "init", "source": {"uri": uri, "label": label}}
    for change in changes:
        apply_change(asked, change)
    said = {change.partition("=")[0].strip() for change in changes}
    said |= {"source.label"} if label else set()
    attempt = _Attempt(asked=asked, said=frozenset(said))
    attempt.propose(_lake_apart(uri))
    modality, survey = attempt.past_obstacles(_survey)
    if asked["name"] == "init":
        asked["name"] = guess_name(uri, modality)
    attempt.propose(_surveyed(survey), first=True)
    described = attempt.past_obstacles(_described, last=_unlabelled(survey))
    if described["obstacle"] and attempt.propose([ACCEPT_UNKNOWN]):
        described = attempt.past_obstacles(_described)
    return Draft(
        recipe=attempt.recipe,
        survey=survey,
        proposals=tuple(attempt.proposals),
        said=attempt.said,
        described=described,
    )


@dataclass(kw_only=True)
class _Attempt:
    """A recipe in the making: what was asked for, and what has been proposed so far."""

    asked: dict[str, Any]
    said: frozenset[str]
    """Settings that the user gave: no proposal changes them."""
    proposals: list[Proposal] = field(default_factory=list)

    @property
    def recipe(self) -> Recipe:
        """The recipe with all proposals."""
        raw: dict[str, Any] = json.loads(json.dumps(self.asked, default=str))
        for proposal in self.proposals:
            apply_proposal(raw, proposal)
        return parse_recipe(raw, where="init")

    def propose(self, made: Sequence[Proposal], *, first: bool = False) -> bool:
        """Take over what would change something; `first`: what was proposed before overrides it."""
        known = [(one.setting, one.value) for one in self.proposals]
        new = [
            one
            for one in made
            if one.setting not in self.said and (one.setting, one.value) not in known
        ]
        self.proposals = [*new, *self.proposals] if first else [*self.proposals, *new]
        return bool(new)

    def past_obstacles(self, step: Callable[[Recipe], T], *, last: Sequence[Proposal] = ()) -> T:
        """Do a step; what its refusals propose goes into the recipe, `last` when they do not.

        Raises:
            SourceError, RecipeError: as the step, when nothing more is proposed.
        """
        refused: Exception | None = None
        for _ in range(MOST_TRIES):
            try:
                return step(self.recipe)
            except RecipeError as error:
                raise refused or error from None
            except REFUSALS as error:
                refused = error
                tried = [replace(one, why=f"its label was tried: {error}") for one in last]
                if isinstance(error, LakeError) or not (
                    self.propose(error.proposals) or self.propose(tried)
                ):
                    raise
        msg = f"the proposals contradict each other, at last {self.proposals[-1]}"
        raise SourceError(msg)


def _survey(recipe: Recipe) -> tuple[str, Survey]:
    source, min_group = open_source(recipe.source), recipe.privacy.min_group
    if source.announcement is not None:
        make_reporter().say(source.announcement)
    source, config, proposals = recognised(source, recipe.source, min_group)
    survey = load_builder(source.modality).survey(source, config, min_group)
    return source.modality, replace(survey, proposals=(*proposals, *survey.proposals))


def _described(recipe: Recipe) -> dict[str, Any]:
    """Return what `ganmill check` finds in the data by this recipe."""
    with opened(recipe) as job:
        return describe(job, prepare(job, say_notes=False))


def _surveyed(survey: Survey) -> list[Proposal]:
    label = Proposal(setting="source.label", value=survey.label, why=survey.label_why)
    return [label, *survey.proposals]


def _lake_apart(uri: str) -> list[Proposal]:
    """Propose another lake where the usual one would lie in the source, or around it."""
    lake = next((one for one in LAKES if find_overlap(uri, one) is None), LAKES[0])
    why = "apart from the source"
    return [Proposal(setting="output.lake", value=lake, why=why)] if lake != LAKES[0] else []


def _unlabelled(survey: Survey) -> list[Proposal]:
    """Return what is tried when a refusal has no remedy: the guessed label may be its cause."""
    if survey.label is None:
        return []
    return [Proposal(setting="source.label", value=None, why="")]


def guess_name(uri: str, otherwise: str) -> str:
    """Return a name for generator and data set made from the last part of the URI."""
    plain = re.sub(r"[*?\[\]{}]", "", uri.partition(":")[2] if "://" not in uri else uri)
    path = PurePosixPath((plain or uri).removesuffix(".gz"))
    parts = [part for part in (path.stem, path.parent.name) if re.search("[a-z0-9]", part.lower())]
    words = re.sub(r"[^a-z0-9]+", "-", parts[0].lower()).strip("-") if parts else ""
    return words[:63].strip("-") or otherwise


def write_recipe(draft: Draft) -> str:
    """Return the YAML, with what was found in the data in its head."""
    raw = draft.recipe.model_dump(mode="json")
    why = {one.setting: one.why for one in draft.proposals}
    why |= dict.fromkeys(draft.said, "as you said")
    survey, shown = draft.survey, _settings(raw, draft)
    comments = COMMENTS | {"output.format": survey.formats}
    comments |= {setting: text for setting, text in why.items() if text}
    lines = [f"# {line}".rstrip() for line in _head(draft, why)]
    if draft.recipe.source.label is not None:
        comments["source.label"] += "; null = none"
    lines += ["", *_tree(shown, comments)]
    if not draft.recipe.schedule.cron:
        lines[-1:-1] = SCHEDULE
    blocks = {
        "source:": [*_detected_lines(survey, raw), *_column_lines(draft), *_likely_lines(survey)]
    }
    return "\n".join(_with_blocks(lines, blocks))


COMMENTS: Final = {
    "source.confidential": "false: reports may show real records beside synthetic ones",
    "training.budget_samples": "real records shown; or budget_s",
    "training.device": "cuda when there is one, else cpu",
    "gate.on_reject": "when refused; or stop: publish nothing; or ask a person",
    "synthesis.balance": "auto | real | equal | fill (what each class lacks) | fractions",
    "synthesis.seed": "or night: the date, a new version every night",
    "output.lake": "or s3://bucket/prefix",
}
"""Setting → its comment, where the data propose nothing."""

SCHEDULE: Final = (
    "# schedule:    # every night, once deployed; with seed: night each is a new version",
    "#   cron: 0 3 * * *",
)
SHOWN: Final = (
    "name",
    "source.uri",
    "source.label",
    "source.confidential",
    "training.budget_samples",
    "training.device",
    "gate.on_reject",
    "synthesis.samples",
    "synthesis.balance",
    "synthesis.seed",
    "output.lake",
    "output.format",
    "seed",
)
"""Settings that every printed recipe shows, in its order."""


def _settings(raw: Mapping[str, Any], draft: Draft) -> dict[str, Any]:
    """Return setting → value of what the recipe shows, each section's settings together."""
    settings = [*SHOWN, *sorted(draft.said), *(one.setting for one in draft.proposals)]
    sections = list(dict.fromkeys(setting.partition(".")[0] for setting in settings))
    sections.sort(key=lambda name: [*raw].index(name) if name != "seed" else len(raw))
    places = list(dict.fromkeys(one.rpartition(".")[0] for one in settings))
    together = [one for place in places for one in settings if one.rpartition(".")[0] == place]
    ordered = [one for name in sections for one in together if one.partition(".")[0] == name]
    shown = {}
    for setting in dict.fromkeys(ordered):
        value: Any = raw
        for key in setting.split("."):
            value = value[key]
        if setting != "source.columns":
            shown[setting] = value
    return shown


def _tree(shown: Mapping[str, Any], comments: Mapping[str, str]) -> list[str]:
    """Return settings as nested YAML, with comments."""
    lines: list[str] = []
    place: list[str] = []
    for setting, value in shown.items():
        keys = setting.split(".")
        same = next((i for i, key in enumerate(keys[:-1]) if place[i : i + 1] != [key]), None)
        opened_from = len(keys) - 1 if same is None else same
        lines += [f"{'  ' * i}{keys[i]}:" for i in range(opened_from, len(keys) - 1)]
        place = keys[:-1]
        comment = f"    # {comments[setting]}" if setting in comments else ""
        lines.append(f"{'  ' * len(place)}{keys[-1]}: {_scalar(value)}{comment}")
    return lines


def _with_blocks(lines: Sequence[str], blocks: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the lines with each block at the end of the section that its key opens."""
    result: list[str] = []
    waiting: Sequence[str] = ()
    for line in lines:
        if not line.startswith(" "):
            result += waiting
            waiting = blocks.get(line, ())
        result.append(line)
    return [*result, *waiting]


def _detected_lines(survey: Survey, raw: Mapping[str, Any]) -> list[str]:
    """Return what was detected of the CSV and not said, commented out."""
    csv = raw["source"]["csv"]
    found = {key: value for key, value in survey.detected.items() if csv[key] is None}
    lines = ["  # csv:    # as detected"] if found else []
    quoted = {key: json.dumps(value, ensure_ascii=False) for key, value in found.items()}
    return [*lines, *(f"  #   {key}: {text}" for key, text in quoted.items())]


def _column_lines(draft: Draft) -> list[str]:
    """Return what every column is: those that stay as surveyed, then what is proposed."""
    proposed = {
        one.value["name"]: one.why for one in draft.proposals if one.setting == "source.columns"
    }
    said = {one.name: one for one in draft.recipe.source.columns}
    entries = [
        ({"name": column.name, "kind": column.kind}, column.why)
        for column in draft.survey.columns
        if column.name not in said
    ]
    for name, column in said.items():
        entry = column.model_dump(mode="json", exclude_defaults=True)
        entries.append((entry, proposed.get(name, "as you said")))
    lines = ["  columns:    # kind: auto, or no line at all, infers it again"] if entries else []
    return [*lines, *(f"    - {_flow(entry)}    # {why}" for entry, why in entries)]


def _likely_lines(survey: Survey) -> list[str]:
    if not survey.likely:
        return []
    lines = ["  # constraints:    # these hold in all rows; uncomment what must hold in new ones"]
    for constraint, why in survey.likely:
        keys = constraint.model_dump(mode="json", exclude_defaults=True)
        lines.append(f"  #   - {_flow(keys)}    # {why}")
    return lines


def _head(draft: Draft, why: Mapping[str, str]) -> list[str]:
    found, label = draft.described, draft.recipe.source.label
    plan = found["plan"]
    lines = [
        f"{sum(found['rows'].values()):,} {found['kind']}",
        *draft.survey.facts,
        f"{f'label: {label}' if label else 'no label'} ({why['source.label']})",
        *_class_lines(found["class_counts"], found["class_names"]),
        f"plan: {plan['rows']:,} records in {shards_words(plan['shards'])}",
    ]
    lines += [f"loss by privacy: {text}" for text in found["losses"]]
    return [*lines, *(note for note in found["notes"] if note not in lines)]


def _class_lines(class_counts: Mapping[str, list[list[Any]]], names: Sequence[str]) -> list[str]:
    totals: dict[Any, int] = {}
    for counts in class_counts.values():
        for label, count in counts:
            totals[label] = totals.get(label, 0) + count
    if not totals:
        return []
    first = list(totals.items())[:SHOWN_CLASSES]
    shown = [f"{class_title(names, label)}: {count:,}" for label, count in first]
    more = f" and {len(totals) - SHOWN_CLASSES} more" if len(totals) > SHOWN_CLASSES else ""
    classes = "class" if len(totals) == 1 else "classes"
    return [f"{len(totals)} {classes}: {', '.join(shown)}{more}"]


def _flow(value: Mapping[str, Any]) -> str:
    return _yaml(dict(value)).strip()


def _scalar(value: Any) -> str:
    return _yaml(value).split("\n")[0]


def _yaml(value: Any) -> str:
    """Return a value as YAML; letters that no terminal is shown are written as escapes."""
    form: dict[str, Any] = {"default_flow_style": True, "sort_keys": False, "width": float("inf")}
    text = str(yaml.safe_dump(value, allow_unicode=True, **form))
    if presentable(text) == text:
        return text
    return str(yaml.safe_dump(value, **form))
