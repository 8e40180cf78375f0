"""The part of the page that says whether synthetic records help."""

from collections.abc import Sequence

from flows.report.bar_charts import bars
from flows.report.figures import table
from flows.report.html import Html, element, fold, folds
from flows.report.lift import EFFECT_COLUMNS, GROUP_COLUMNS, TITLE, EffectRow, LiftView
from flows.report.verdict import OUTCOMES


def lift_panel(view: LiftView) -> Html:
    """Return answer, effects, and below them what they rest on."""
    if view.outcome is None:
        said = element("p", view.text, class_="meaning")
        return element("section", element("h2", TITLE, id="lift"), said)
    icon = element(
        "span", OUTCOMES[view.outcome][0], class_=f"icon is-{view.outcome}", aria_hidden="true"
    )
    return element(
        "section",
        element("h2", TITLE, id="lift"),
        element("p", icon, f" {view.word}", class_="answer"),
        element("div", element("p", view.text, class_="meaning"), _effects(view), class_="beside")
        if view.effects
        else element("p", view.text, class_="meaning"),
        element("p", f"{view.price}.", class_="key") if view.price else None,
        element("p", view.group_text) if view.group_text else None,
        folds(
            _numbers(view),
            *(
                _fold(GROUP_COLUMNS, rows, f"Change in each group of {column}", texts=(0, 2))
                for column, rows in view.groups.items()
            ),
            _fold(view.class_columns, view.classes, "Recall of each class"),
            _fold(view.arm_columns, view.arms, f"All {len(view.arms)} arms", texts=(0, 1, 2)),
            _fold(view.curve_columns, view.curve, "From few real records to all"),
            _fold(view.metric_columns, view.metrics, "All metrics of the arms on the holdout"),
            _notes(view.notes),
        ),
        class_=f"verdict is-{view.outcome}",
        aria_labelledby="lift",
    )


def _effects(view: LiftView) -> Html | None:
    if not view.effects:
        return None
    rows = [_bar(row) for row in view.effects]
    reference = {"value": 0.0, "text": "real records alone"}
    data = {"unit": "change", "bars": rows, "reference": reference}
    caption = f"Change of {view.subject}; the long line is training on real records alone."
    drawn = bars(data, _said(view))
    return element("figure", drawn, element("figcaption", caption), class_="figure-bars")


def _numbers(view: LiftView) -> Html | None:
    if not view.effects:
        return None
    columns = [name.capitalize() for name in EFFECT_COLUMNS]
    cells = [row.cells for row in view.effects]
    data = {"columns": columns, "rows": cells, "right": list(range(2, len(columns)))}
    return fold("The effects as a table", table(data, _said(view)))


def _said(view: LiftView) -> str:
    return "; ".join(", ".join(row.cells) for row in view.effects)


def _notes(notes: Sequence[str]) -> Html | None:
    if not notes:
        return None
    items = [element("li", note) for note in notes]
    return fold("How it was measured", element("ul", items, class_="notes"))


def _bar(row: EffectRow) -> dict[str, object]:
    change = row.change
    label = f"{row.arm} ({row.needs})"
    return {"label": label, "value": change.value, "low": change.low, "high": change.high}


def _fold(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    title: str,
    texts: Sequence[int] = (0,),
) -> Html | None:
    """Return a table that opens at a click, some columns of it texts; nothing without rows."""
    if not rows:
        return None
    right = [index for index in range(len(columns)) if index not in texts]
    columns = [f"{name[:1].upper()}{name[1:]}" for name in columns]
    shown = table({"columns": columns, "rows": rows, "right": right}, title)
    return fold(title, shown)
