"""What a run came to: the version that was published and how to read it, or why nothing was."""

from collections.abc import Mapping, Sequence
from typing import Any

from flows.artifacts.markdown import LONGEST, code, plain
from flows.cost import cost_text
from flows.outcome import Label, Outcome, Published
from flows.words import records_word

SHOWN_CLASSES = 20


def outcome_markdown(outcome: Outcome) -> str:
    """Return the outcome of a job: the data set, or the reason why there is none, and the cost."""
    published = outcome.published
    cost = f"- **Cost of this run** {cost_text(outcome.cost.to_json())}"
    report = f"- **Report** {code(outcome.report_page)}"
    if published is None:
        head = f"# Nothing was published\n\n{plain(outcome.reason)}"
        return f"{head}\n\n- **Generator** {code(outcome.generator)}\n{report}\n{cost}\n"
    before = " It had been published before this run." if published.existed else ""
    reading = "\n".join(published.reading)
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
    facts = [f"- **Size** {published.rows:,} {word} in {published.shards} shards, {size}"]
    if published.class_counts:
        facts.append(f"- **Classes** {_classes(published.class_counts)}")
    facts.append(f"- **Generator** {code(outcome.generator)}")
    facts.append(f"- **Verdict** {plain(published.verdict).upper()}{_signed(published.override)}")
    return facts


def _classes(counts: Sequence[tuple[Label, int]]) -> str:
    if len(counts) <= SHOWN_CLASSES:
        return ", ".join(f"{plain(label, LONGEST)}: {count:,}" for label, count in counts)
    sizes = [count for _, count in counts]
    return f"{len(counts):,} of them, of {min(sizes):,} to {max(sizes):,} each"


def _signed(override: Mapping[str, Any] | None) -> str:
    if not override:
        return ""
    by, at, reason = (plain(override.get(name, "?")) for name in ("by", "at", "reason"))
    return f", **overridden** by {by} at {at}: {reason}"
