"""What a tracked run shows in the UI of Prefect: pure Markdown, made from report and outcome.

There is a text each for the verdict, whether it helps, the samples, what was published and how to
read it, and the question to a person; the training curves are in `flows.report.curves`. Names of
columns and classes come from anywhere, so text is escaped and stays text. Artifacts lie in
Prefect's database and come up in every listing: each stays below `MAX_BYTES`.
"""

import base64
import io
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from PIL import Image

from flows.job import Assessed, ClassLabel, Judged, Outcome, Published, Question, cost_text
from flows.progress import records_word, shards_words
from flows.report.html import NOTHING, words
from flows.report.lift import (
    EFFECT_COLUMNS,
    GROUP_COLUMNS,
    NOBODY_KNOWS,
    TITLE,
    LiftView,
    lift_view,
)
from flows.report.summary import Answer, answers
from flows.report.verdict import OUTCOMES, VERDICTS, MetricRow, VerdictView, verdict_view
from gan.bounds import bounds_of
from gan.report import ENDS, Event, Figure, Report
from storage.lake.markdown import one_line, plain

LONGEST = 80
"""Letters of a name or value that is shown; the rest is in the report."""


def code(text: str) -> str:
    """Return text as code on one line; a backtick in it becomes an apostrophe."""
    return "`" + one_line(text).replace("`", "'") + "`"


def linked(page: str, link: str | None) -> str:
    """Return where a report is: a link that opens it, if there is one, and the place itself."""
    opens = f"[open it]({link}), " if link and not set(link) & set("()<> ") else ""
    return f"{opens}{code(page)}"


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], right: Collection[int] = ()
) -> str:
    """Return a table; the columns of these numbers stand at the right."""
    rule = "|" + "|".join("---:" if index in right else "---" for index in range(len(columns)))
    return "\n".join([_row(columns), f"{rule}|", *(_row(row) for row in rows)])


def picture(data: bytes, kind: str, alt: str) -> str:
    """Return an image that brings its own bytes; `kind` is its media type, such as image/png."""
    content = base64.b64encode(data).decode("ascii")
    return f"![{plain(alt, 2 * LONGEST)}](data:{kind};base64,{content})"


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(plain(cell, LONGEST) for cell in cells) + " |"


MAX_BYTES = 300_000
"""Of one artifact, as it is stored."""
SHOWN_REASONS = 8
SHOWN_EVENTS = 12
SHOWN_PARTS = 5
SHOWN_RULES = 12
STRUCTURE = "structure"
"""Section of the figures on rules between parts of a record."""
LONGEST_REASON = 400
LONGEST_ANSWER = 800
LEGEND = (
    f"{', '.join(f'{mark} {word.lower()}' for mark, word in OUTCOMES.values())}. "
    "↑ is the upper end of the interval."
)


def verdict_markdown(assessed: Assessed, report_page: str, link: str | None = None) -> str:
    """Return the verdict on the candidate as one page.

    Args:
        assessed: the candidate's report, and the champion's where it is another generator.
        report_page: where the whole report is, as a person types it.
        link: an address that opens it in a browser, where there is one.
    """
    report, entries = assessed.challenger.report, assessed.challenger.judgement.metrics
    champion = None if assessed.champion is None else assessed.champion.report
    bounds = partial(bounds_of, metrics=entries)
    view = verdict_view(report, champion=champion, bounds_of=bounds)
    sections = [
        f"# {view.word.upper()}: {plain(report.name, LONGEST)}",
        summary_markdown(answers(view, lift_view(report.lift))),
        f"{view.headline} Generator {code(report.generator)}. {_standing(assessed)}",
        " ".join(f"{plain(text)}." for text in view.rows),
        _reasons(view),
        f"Next: {plain(view.next_step)}." if view.next_step else "",
        f"## {TITLE}",
        lift_markdown(lift_view(report.lift)),
        "## Metrics",
        _metrics(view, has_champion=champion is not None),
        _worst_parts(view),
        _structure(report.figures),
        "## Interventions while training",
        _events(report.events),
        f"Report: {linked(report_page, link)}",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def summary_markdown(found: Sequence[Answer]) -> str:
    """Return the four answers, a line each."""
    lines = [
        f"- {OUTCOMES[one.outcome][0]} {one.question} **{plain(one.word)}** "
        f"{plain(one.text, LONGEST_ANSWER)}"
        for one in found
    ]
    return "\n".join(lines)


def lift_markdown(view: LiftView) -> str:
    """Return whether the records help, and what the best free remedy does."""
    if view.outcome is None:
        return NOBODY_KNOWS
    said = f"**{plain(view.word).upper()}** {plain(view.text, LONGEST_ANSWER)}"
    if not view.effects:
        return said
    rows = [row.cells for row in view.effects]
    shown = table(EFFECT_COLUMNS, rows, right=range(2, len(EFFECT_COLUMNS)))
    below = f"{plain(view.subject, LONGEST_REASON)}; {plain(view.price, LONGEST_REASON)}."
    return f"{said}\n\n{shown}\n\n{below}"


def whole_lift_markdown(view: LiftView) -> str:
    """Return the answer with everything that it rests on."""
    tables = (
        (view.arm_columns, view.arms),
        (view.metric_columns, view.metrics),
        (view.class_columns, view.classes),
        (view.curve_columns, view.curve),
        *((GROUP_COLUMNS, rows) for rows in view.groups.values()),
    )
    shown = [table(columns, rows[:MAX_ROWS]) for columns, rows in tables if rows]
    notes = "\n".join(f"- {plain(note, LONGEST_REASON)}" for note in view.notes)
    said = [plain(view.group_text, LONGEST_ANSWER)] if view.group_text else []
    return "\n\n".join([lift_markdown(view), *said, *shown, *([notes] if notes else [])])


def verdict_line(report: Report) -> str:
    """Return the verdict and its first reason in a line, for listings."""
    view = verdict_view(report)
    failing = [reason.text for reason in view.deciding]
    more = f", and {len(failing) - 1} more" if len(failing) > 1 else ""
    said = plain(f"{failing[0]}{more}", LONGEST_REASON) if failing else "nothing stands against it"
    return f"**{view.word.upper()}** {said}"


def _standing(assessed: Assessed) -> str:
    champion = assessed.standing.champion
    if assessed.is_champion:
        return "It is the champion."
    if champion is None:
        return "There is no champion yet."
    if assessed.champion is None:
        return f"The champion {code(champion.version)} cannot be judged on today's records."
    word = verdict_view(assessed.champion.report).word.upper()
    return f"The champion is {code(champion.version)}, today {word}."


def _reasons(view: VerdictView) -> str:
    """Return what does not pass, what stands out, what passes by name, and what has no rule."""
    lines = [
        f"- **{reason.outcome}** {plain(reason.text, LONGEST_REASON)}"
        for reason in view.deciding[:SHOWN_REASONS]
    ]
    if len(view.deciding) > SHOWN_REASONS:
        lines.append(f"- and {len(view.deciding) - SHOWN_REASONS} more in the report")
    lines += [
        f"- **stands out** {plain(reason.text, LONGEST_REASON)}"
        for reason in view.alarms[:SHOWN_REASONS]
    ]
    passing = dict.fromkeys(words(reason.metric) for reason in view.passing)
    if passing:
        lines.append(f"- **pass** {plain(', '.join(passing))}")
    lines += [
        f"- **not judged** {plain(words(reason.metric))}: {plain(reason.why, LONGEST_REASON)}"
        for reason in view.reported
    ]
    lines += [
        f"- **privacy takes** {plain(text, LONGEST_REASON)}"
        for text in view.first_losses(SHOWN_REASONS)
    ]
    return "\n".join(lines)


def _metrics(view: VerdictView, *, has_champion: bool) -> str:
    """Return the metrics of the whole set; those of classes and columns are in the report."""
    columns = ["metric", "value (95 % interval)"]
    columns += ["champion"] * has_champion + ["real data", "passes", "blocks"]
    rows = []
    for row in view.overall:
        cells = [f"{row.mark} {row.name}, {row.scope}", f"{row.value} ({row.interval})"]
        cells += [row.champion or NOTHING] * has_champion
        rows.append([*cells, row.ceiling, row.passes, row.blocks])
    shown = table(columns, rows, right=range(1, len(columns)))
    rivals = " The champion is judged on the same records." if has_champion else ""
    return f"{shown}\n\n{LEGEND}{rivals}"


def _worst_parts(view: VerdictView) -> str:
    """Return the classes or columns that come nearest to their bounds, or are past them."""
    judged = [(row.used, row) for row in view.of_parts if row.used is not None]
    judged.sort(key=lambda pair: pair[0], reverse=True)
    worst: dict[str, MetricRow] = {}
    for _, row in judged:
        worst.setdefault(row.part, row)
    if not worst:
        return ""
    plural = "classes" if view.part == "class" else f"{view.part}s"
    lines = [
        f"- **{plain(part, LONGEST)}** {plain(row.name)} {row.value}, passes {plain(row.passes)}"
        for part, row in list(worst.items())[:SHOWN_PARTS]
    ]
    return "\n".join([f"Worst {plural} of {len(worst):,}:", "", *lines])


def _structure(figures: Sequence[Figure]) -> str:
    """Return the rules of the records and which rows keep each; of many the first ones."""
    parts = [each for each in figures if each.section == STRUCTURE and each.kind == "table"]
    shown = []
    for figure in parts:
        rows, right = figure.data["rows"], figure.data.get("right", ())
        text = table(figure.data["columns"], rows[:SHOWN_RULES], right)
        more = len(rows) - SHOWN_RULES
        shown.append(f"{text}\n\nand {more:,} more in the report." if more > 0 else text)
    return "\n\n".join(["## Structure", *shown]) if shown else ""


def _events(events: Sequence[Event]) -> str:
    """Return what the watch did, and below it how the training ended."""
    done = [event for event in events if event.kind not in ENDS]
    lines = [_event(event) for event in done[:SHOWN_EVENTS]] or ["none"]
    if len(done) > SHOWN_EVENTS:
        lines.append(f"- and {len(done) - SHOWN_EVENTS} more in the report")
    ends = "; ".join(plain(event.text, LONGEST_REASON) for event in events if event.kind in ENDS)
    return "\n".join([*lines, *(["", f"The end: {ends}."] if ends else [])])


def _event(event: Event) -> str:
    return f"- at {event.samples_seen:,} samples: {plain(event.text, LONGEST_REASON)}"


MAX_PNG_BYTES = 200_000
"""A larger picture is scaled down."""
MIN_WIDTH = 320
"""A narrower picture, in pixels, is enlarged: the UI shows every pixel as one."""
MAX_COLUMNS, MAX_ROWS = 40, 60
"""Of a table that are shown."""


def samples_markdown(report: Report) -> str | None:
    """Return the report's samples, None when it has none."""
    for figure in report.figures:
        if figure.section == "samples" and figure.kind in _SHOWN:
            shown = _SHOWN[figure.kind](figure)
            return f"# Synthetic samples\n\n{shown}\n\n{plain(figure.caption)}\n"
    return None


def _grid(figure: Figure) -> str:
    """Return the picture, and what its rows show."""
    shown = picture(_sized(base64.b64decode(figure.data["png"])), "image/png", figure.alt)
    rows = [plain(row, LONGEST) for row in figure.data.get("rows", ())[:MAX_ROWS]]
    return f"{shown}\n\nFrom the top: {', '.join(rows)}." if rows else shown


def _rows(figure: Figure) -> str:
    """Return the rows as a table; of a large one, its upper left."""
    columns, rows = figure.data["columns"], figure.data["rows"]
    shown = table(columns[:MAX_COLUMNS], [row[:MAX_COLUMNS] for row in rows[:MAX_ROWS]])
    if len(columns) > MAX_COLUMNS or len(rows) > MAX_ROWS:
        return f"{shown}\n\nThe report has all {len(rows):,} rows and {len(columns):,} columns."
    return shown


_SHOWN = {"image": _grid, "table": _rows}


def _sized(png: bytes) -> bytes:
    with Image.open(io.BytesIO(png)) as image:
        factor = -(-MIN_WIDTH // image.width)
        if factor > 1:
            size = (image.width * factor, image.height * factor)
            png = _png(image.resize(size, Image.Resampling.NEAREST))
    while len(png) > MAX_PNG_BYTES:
        with Image.open(io.BytesIO(png)) as image:
            png = _png(image.convert("RGB").resize((image.width // 2, image.height // 2)))
    return png


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


SHOWN_CLASSES = 20


def outcome_markdown(outcome: Outcome, link: str | None = None) -> str:
    """Return the outcome of a job: the data set, or the reason why there is none, and the cost.

    Args:
        outcome: the end of the job.
        link: an address that opens its report in a browser, where there is one.
    """
    published = outcome.published
    cost = f"- **Cost of this run** {cost_text(outcome.cost)}"
    report = f"- **Report** {linked(outcome.report_page, link)}"
    if published is None:
        head = f"# Nothing was published\n\n{plain(outcome.reason)}"
        return f"{head}\n\n- **Generator** {code(outcome.generator)}\n{report}\n{cost}\n"
    before = " It had been published before this run." if published.existed else ""
    reading = "\n".join(one_line(line).replace("`", "'") for line in published.reading)
    return "\n".join(
        [
            f"# {outcome.name} {published.version}",
            "",
            f"{plain(outcome.reason)}.{before}",
            "",
            *_facts(outcome, published),
            report,
            f"- **Manifest** {code(published.manifest)}",
            cost,
            "",
            "## Read it",
            "",
            f"```python\n{reading}\n```",
            "",
        ]
    )


def outcome_line(outcome: Outcome) -> str:
    """Return the outcome in a line, for listings."""
    published = outcome.published
    if published is None:
        return f"**Nothing published** {plain(outcome.reason)}"
    word = records_word(outcome.report.modality)
    return f"**{published.version}** {published.rows:,} {word}, {plain(outcome.reason)}"


def _facts(outcome: Outcome, published: Published) -> list[str]:
    word = records_word(outcome.report.modality)
    size = f"{published.total_bytes / 2**20:,.1f} MiB"
    facts = [f"- **Size** {published.rows:,} {word} in {shards_words(published.shards)}, {size}"]
    if published.class_counts:
        facts.append(f"- **Classes** {_classes(published.class_counts)}")
    facts += [f"- {plain(text)}" for text in published.composition]
    facts.append(f"- **Generator** {code(outcome.generator)}")
    facts.append(f"- **Verdict** {plain(published.verdict).upper()}{_signed(published.override)}")
    return facts


def _classes(counts: Sequence[tuple[ClassLabel, int]]) -> str:
    if len(counts) <= SHOWN_CLASSES:
        return ", ".join(f"{plain(label, LONGEST)}: {count:,}" for label, count in counts)
    sizes = [count for _, count in counts]
    return f"{len(counts):,} of them, of {min(sizes):,} to {max(sizes):,} each"


def _signed(override: Mapping[str, Any] | None) -> str:
    if not override:
        return ""
    by, at, reason = (plain(override.get(name, "?")) for name in ("by", "at", "reason"))
    return f", **overridden** by {by} at {at}: {reason}"


QUESTION_REASONS = 12
"""As many reasons of the gate as the form shows; the report has all of them."""


def question_markdown(question: Question, judged: Judged, link: str | None = None) -> str:
    """Return the question about a generator as the form shows it, with a link to its report."""
    heading = "was refused" if question.kind == "override" else "passed and needs a yes"
    keep = (
        f"the champion {code(question.champion)} publishes."
        if question.champion
        else f"cannot be chosen: {plain(question.blocking_reason, LONGEST_REASON)}."
    )
    verdict, reasons = VERDICTS[judged.judgement.verdict][0], judged.judgement.reasons
    lines = [f"- {plain(one.text, LONGEST_REASON)}" for one in reasons[:QUESTION_REASONS]]
    if len(reasons) > QUESTION_REASONS:
        lines.append(f"- and {len(reasons) - QUESTION_REASONS} more in the report")
    if judged.lift is not None:
        lines.append(f"- {TITLE} {plain(judged.lift.text, LONGEST_ANSWER)}")
    unjudged = judged.judgement.unjudged
    lines += [f"- {plain(one.text, LONGEST_REASON)}" for one in unjudged if one.outcome == "alarm"]
    listed = "\n".join([*lines, *([f"- [the whole report]({link})"] if link else [])])
    return (
        f"**{verdict.upper()}: generator {code(judged.version)} {heading}.** "
        f"{plain(question.why, LONGEST_REASON)}.\n\n{listed}\n\n"
        "- **publish**: this generator becomes champion and publishes; a written reason is "
        "compulsory and goes into log and manifest.\n"
        f"- **keep champion**: {keep}\n"
        "- **stop**: nothing is published.\n\n"
        f"Without a question the gate would {plain(question.default, LONGEST_REASON)}."
    )
