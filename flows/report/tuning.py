"""What a study of tuning found, as it is shown: sentences, a table of trials, a page, Markdown.

The page has two figures: the best rank over the trials, and which settings decide.
"""

import math
from collections.abc import Sequence

from flows.report.figures import figure, table
from flows.report.html import NOTHING, Html, element, join, number, words
from flows.report.markdown import code, linked
from flows.report.markdown import table as markdown_table
from flows.report.page import document, fact_list, section
from gan.report import Figure
from gan.tuning.knobs import PRESET
from gan.tuning.result import FinishedTrial, TuningResult
from gan.tuning.study import FEWEST_TRAINED, Settings

TRIAL_COLUMNS = ("trial", "ended", "rank", "CPU-s", "seconds", "samples", "changes of the recipe")
AS_IT_IS = "none: the recipe as it is"
CHOSEN = (
    "Trials are compared on validation, by the assessment that chooses a snapshot in training; "
    "nobody has looked at the holdout. Chance flatters the best of many: the evaluation of what is "
    "tuned says what it is worth."
)


def settings_text(settings: Settings) -> str:
    """Return settings as `--set` takes them, one after the other."""
    return ", ".join(f"{setting}={value}" for setting, value in in_order(settings).items())


def in_order(settings: Settings) -> Settings:
    """Return settings with the preset first."""
    return dict(sorted(settings.items(), key=lambda item: (item[0] != PRESET, item[0])))


def short_settings(settings: Settings) -> str:
    """Return settings without their sections, for a table."""
    named = ((setting.rpartition(".")[2], value) for setting, value in in_order(settings).items())
    return ", ".join(f"{name}={value}" for name, value in named)


def outcome_text(ended: FinishedTrial) -> str:
    """Return how a trial ended, in a few words."""
    if ended.state == "complete" and ended.rank is not None:
        return f"rank {ended.rank:.3f}"
    return f"{ended.state}: {ended.why}"


def headline(result: TuningResult) -> str:
    """Return what came of tuning, one sentence."""
    best, first = result.best, result.baseline
    if best is None:
        return f"No trial of {result.name} had a usable snapshot."
    if first is not None and best.number == first.number:
        return f"Nothing that was tried is better than the recipe as it is: rank {best.rank:.3f}."
    said = NOTHING if first is None or first.rank is None else f"{first.rank:.3f}"
    return f"Trial {best.number} is the best: rank {best.rank:.3f}, the recipe as it is {said}."


def counted(result: TuningResult) -> str:
    """Return how many trials ended how."""
    found = [f"{count} {state}" for state, count in result.counts().items() if count]
    return f"{len(result.trials)} trials of {result.budget}: {', '.join(found)}"


def trial_rows(result: TuningResult) -> list[tuple[str, ...]]:
    """Return a row of `TRIAL_COLUMNS` for every trial."""
    best = None if result.best is None else result.best.number
    return [_row(one, is_best=one.number == best) for one in result.trials]


def _row(one: FinishedTrial, *, is_best: bool) -> tuple[str, ...]:
    lasts = one.rank if one.rank is not None else _last_rank(one)
    return (
        str(one.number),
        "best" if is_best else one.state,
        NOTHING if lasts is None else f"{lasts:.3f}",
        f"{one.cpu_s:,.1f}",
        f"{one.seconds:,.1f}",
        f"{one.samples_seen:,}",
        short_settings(one.settings) or AS_IT_IS,
    )


def _last_rank(one: FinishedTrial) -> float | None:
    """Return the rank at which a trial was given up."""
    ranks = [rank for _, rank in one.curve if rank is not None]
    return ranks[-1] if ranks else None


def reasons(result: TuningResult) -> list[str]:
    """Return why trials were refused or failed, a sentence each, every reason once."""
    told = [one for one in result.trials if one.state in ("refused", "failed")]
    by_reason: dict[str, list[int]] = {}
    for one in told:
        by_reason.setdefault(f"{one.state}: {one.why}", []).append(one.number)
    return [f"{why} (trial {', '.join(map(str, at))})" for why, at in by_reason.items()]


def history_figure(result: TuningResult) -> Figure:
    """Return the rank of every complete trial and the best so far, over the trials."""
    made = [one for one in result.trials if one.state == "complete"]
    best = result.best_until()
    mark = result.best
    return Figure(
        id="tuning-history",
        section="tuning",
        caption="Rank of the trials that trained to the end, and the best so far; lower is better.",
        alt="; ".join(f"trial {at}: best rank {number(rank)}" for at, rank in best),
        kind="lines",
        data={
            "x_label": "trial",
            "y_label": "rank",
            "log_y": True,
            "series": [
                {
                    "name": "best so far",
                    "x": [at for at, _ in best],
                    "y": [rank for _, rank in best],
                },
                {
                    "name": "of the trial",
                    "x": [one.number for one in made],
                    "y": [one.rank for one in made],
                },
            ],
            "marks": [] if mark is None else [{"x": mark.number, "text": "the best trial"}],
        },
    )


def importance_figure(result: TuningResult) -> Figure | None:
    """Return which settings decide, None where too few trials tell."""
    if not result.importance:
        return None
    rows = [
        {"label": setting.rpartition(".")[2], "value": share, "low": math.nan, "high": math.nan}
        for setting, share in result.importance.items()
    ]
    return Figure(
        id="tuning-importance",
        section="tuning",
        caption="Share of each setting in what makes a trial one of the best (PED-ANOVA).",
        alt="; ".join(f"{one} {share:.0%}" for one, share in result.importance.items()),
        kind="bars",
        data={"unit": "share", "bars": rows},
    )


def render_tuning(result: TuningResult) -> str:
    """Return the page of a study; equal results give equal pages."""
    return document(
        f"{result.name}: tuning",
        element(
            "header",
            element("p", "Tuning report", class_="eyebrow"),
            element("h1", result.name),
            element("p", counted(result), class_="about"),
        ),
        section("Result", _result(result)),
        section("Trials", _trials(result)),
        fact_list(
            {
                "name": result.name,
                "study": result.study,
                "modality": result.modality,
                "budget of a trial": result.budget,
            }
        ),
    )


def _result(result: TuningResult) -> Html:
    shares = importance_figure(result)
    few = f"Importance is told from {FEWEST_TRAINED} trained trials on."
    figures = [figure(one) for one in (history_figure(result), shares) if one is not None]
    best = result.best
    changes = [] if best is None else [*in_order(best.settings).items()]
    return join(
        element("p", headline(result), class_="meaning"),
        element("p", CHOSEN, class_="meaning"),
        table({"columns": ["Setting", "Tuned"], "rows": [[k, str(v)] for k, v in changes]}, "Tuned")
        if changes
        else None,
        element("div", figures, class_="figures"),
        None if shares is not None else element("p", few, class_="key"),
    )


def _trials(result: TuningResult) -> Html:
    columns = [name[0].upper() + name[1:] for name in TRIAL_COLUMNS]
    data = {"columns": columns, "rows": trial_rows(result), "right": [2, 3, 4, 5], "dense": True}
    notes = [element("li", text) for text in reasons(result)]
    key = (
        "The rank of a trial that was pruned is that of its last tick. What is refused costs "
        "nothing and does not count."
    )
    return join(
        table(data, "Trials"),
        element("p", key, class_="key"),
        element("ul", notes, class_="notes") if notes else None,
    )


SHOWN_TRIALS = 60
"""Rows of the table in Prefect's UI; the page has all."""


def tuning_markdown(result: TuningResult, page: str, link: str | None = None) -> str:
    """Return what a tracked run shows.

    Args:
        result: of the study.
        page: where the report is, as a person types it.
        link: an address that opens it, where there is one.
    """
    best = result.best
    rows = trial_rows(result)[:SHOWN_TRIALS]
    shares = ", ".join(f"{words(one)} {share:.0%}" for one, share in result.importance.items())
    changes = [] if best is None else _yaml_lines(best.settings)
    parts = [
        f"# Tuning of {code(result.name)}",
        headline(result),
        "\n".join(["```yaml", *changes, "```"]) if changes else "",
        f"What decides: {shares}." if shares else "",
        CHOSEN,
        "## Trials",
        markdown_table(TRIAL_COLUMNS, rows, right=(2, 3, 4, 5)),
        f"Report: {linked(page, link)}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _yaml_lines(settings: Settings) -> Sequence[str]:
    """Return settings as lines of a recipe."""
    sections: dict[str, list[str]] = {}
    for setting, value in in_order(settings).items():
        name, _, key = setting.partition(".")
        sections.setdefault(name, []).append(f"  {key}: {value}")
    return [line for name, lines in sections.items() for line in (f"{name}:", *lines)]
