"""The figures of a table: what they say, how many columns they take, and what they keep back."""

import datetime
import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from flows.report import render
from gan.evaluation.reporting import bars
from gan.modalities import Splits
from gan.report import Ceiling, Evaluation, Figure, Measured, Metric, Report, ReportInputs
from gan.tables.figures.columns import OTHERS, as_text
from gan.tables.judge import BARS, METRICS, figures
from storage.records.schema import Column
from storage.records.table_metadata import TableMetadata, with_table_metadata

KINDS = {
    "region": "category",
    "age": "integer",
    "income": "float",
    "joined": "date",
    "seen": "timestamp",
    "churned": "boolean",
    "id": "key",
}


def meant(table, kinds, min_group=10, public=()):
    columns = [
        Column(
            name=name,
            kind=kinds[name],
            why="",
            vocabulary="public" if name in public else "private",
        )
        for name in table.column_names
    ]
    return table.replace_schema_metadata(
        with_table_metadata(
            table.schema, TableMetadata(columns=tuple(columns), min_group=min_group)
        ).metadata
    )


def customers(rows, seed, **changes):
    rng = np.random.default_rng(seed)
    region = rng.choice(["north", "south", "east"], rows, p=[0.5, 0.3, 0.2])
    age = np.clip(rng.normal(np.where(region == "south", 55, 40), 9), 18, 90).astype(int)
    income = np.exp(rng.normal(8 + age / 40, 0.6)).round(2)
    days = rng.integers(18_000, 20_000, rows)
    columns = {
        "region": region,
        "age": age,
        "income": pa.array(income, mask=rng.random(rows) < 0.08),
        "joined": pa.array(days.astype("datetime64[D]")),
        "seen": pa.array((days * 86_400 + rng.integers(0, 86_400, rows)).astype("datetime64[s]")),
        "churned": rng.random(rows) < 0.3,
        "id": [f"C-{index:06d}" for index in range(rows)],
        **changes,
    }
    return meant(pa.table(columns), KINDS)


def evaluation(names, rows):
    metrics = [
        ("one_way", "all", 0.02, 0.018),
        ("two_way", "all", 0.05, 0.04),
        ("coverage", "all", 0.93, 0.96),
        ("c2st", "all", 0.56, 0.5),
        ("tstr_gap", "churned", 0.01, 0.0),
        *(
            ("one_way", f"all/{name}", 0.01 * (place + 1), 0.012)
            for place, name in enumerate(names)
        ),
    ]
    measured = [
        Measured(
            metric=Metric(
                name=name,
                scope=scope,
                value=value,
                low=value * 0.9,
                high=value * 1.1,
                n=rows,
                ceiling=Ceiling(value=real, low=real * 0.9, high=real * 1.1),
                direction="higher" if name == "coverage" else "lower",
            )
        )
        for name, scope, value, real in metrics
    ]
    return Evaluation(
        measured=tuple(measured),
        facts=(),
        too_few=(),
        n=rows,
        holdout_rows=rows,
        candidate_rows=rows,
        candidate_class_counts=(),
        seed=0,
    )


def drawn(train, fakes=None, *, label="churned", confidential=True):
    rows = train.num_rows
    fakes = fakes if fakes is not None else customers(rows, 9)
    splits = Splits(
        train=train, validation=train.slice(0, rows // 2), holdout=train.slice(rows // 2)
    )
    inputs = ReportInputs(
        candidate=fakes,
        reference=SimpleNamespace(splits=splits, context=None, options=SimpleNamespace(groups=())),
        label=label,
        confidential=confidential,
    )
    names = [name for name in train.column_names if name != "id"]
    measured = evaluation(names, rows // 2)
    groups = (bars(measured.metrics, group, METRICS) for group in BARS)
    found = (*figures(measured, inputs), *(figure for figure in groups if figure))
    return {figure.id: figure for figure in found}


@pytest.fixture(scope="module")
def found() -> dict[str, Figure]:
    return drawn(customers(1200, 1))


def test_every_figure_is_there_and_can_be_rendered(found):
    assert set(found) >= {
        "samples",
        "error-ratios",
        "attacks",
        "usefulness",
        "column-overlays",
        "worst-columns",
        "pair-errors",
        "plane",
    }
    report = Report(
        name="customers",
        generator="v",
        snapshot_digest="",
        created="",
        modality="tables",
        metrics=(),
        verdict="pass",
        reasons=(),
        figures=tuple(found.values()),
    )
    page = render(Report.from_json(report.to_json()))
    assert all(
        figure.caption.split(":")[0].replace("'", "&#x27;") in page for figure in found.values()
    )
    assert "image" not in " ".join(f"{one.caption} {one.alt}" for one in found.values())


def test_ten_rows_are_the_candidates_own():
    fakes = customers(500, 9)
    rows = drawn(customers(400, 1), fakes)["samples"].data["rows"]
    assert len(rows) == 10
    assert rows[0] == [as_text(fakes[name][0].as_py()) or "null" for name in fakes.column_names]
    assert rows[-1][-1] == "C-000499"


def test_bounds_stand_in_the_units_of_each_chart(found):
    useful = found["usefulness"].data["bars"][0]
    assert (useful["value"], useful["pass_high"], useful["block_high"]) == (0.01, 0.02, 0.05)
    attack = found["attacks"].data["bars"][0]
    assert (attack["label"], attack["value"]) == ("c2st, all", 0.56)
    assert (attack["pass_high"], attack["block_high"]) == (0.65, 0.8)
    ratios = {bar["label"]: bar for bar in found["error-ratios"].data["bars"]}
    assert ratios["two way, all"]["value"] == pytest.approx(1.25)
    assert ratios["two way, all"]["pass_high"] == pytest.approx(1.5)


def test_the_worst_column_comes_first(found):
    assert found["worst-columns"].data["rows"][0][0] == "churned"
    panels = found["column-overlays"].data["panels"]
    assert [panel["title"] for panel in panels][:2] == ["churned", "seen"]
    assert panels[0]["note"] == "error 0.060, real 0.012"


def test_shares_of_every_panel_are_complete(found):
    for panel in found["column-overlays"].data["panels"]:
        parts = panel.get("bins") or panel["levels"]
        for side in range(2):
            assert sum(part["values"][side] for part in parts) == pytest.approx(1, abs=1e-3)
    assert "id" not in json.dumps(found["column-overlays"].data["panels"])


def test_a_column_that_is_off_is_seen_in_pairs_and_panels():
    train = customers(1200, 1)
    fakes = customers(1200, 9)
    shuffled = np.random.default_rng(0).permutation(1200)
    fakes = fakes.set_column(1, fakes.schema.field("age"), fakes["age"].take(shuffled))
    data = drawn(train, fakes)["pair-errors"].data
    worst = max(
        (value, data["names"][row], data["names"][column])
        for row, values in enumerate(data["values"])
        for column, value in enumerate(values)
        if row != column
    )
    assert set(worst[1:]) == {"region", "age"} or set(worst[1:]) == {"age", "income"}
    assert worst[0] > 2
    assert data["values"][1][1] < 2  # the column alone is right


def test_wide_tables_are_capped_and_say_so():
    rng = np.random.default_rng(0)
    wide = {f"c{index:03d}": rng.normal(size=300) for index in range(110)}
    train = meant(pa.table(wide), dict.fromkeys(wide, "float"))
    found = drawn(train, train, label=None)
    assert len(found["column-overlays"].data["panels"]) == 24
    assert "24 of 110 columns" in found["column-overlays"].caption
    assert len(found["pair-errors"].data["names"]) == 60
    assert "first 60 of 110 columns" in found["pair-errors"].caption
    assert len(found["samples"].data["rows"]) == 60
    assert found["samples"].data["columns"][:2] == ["column", "1"]


def test_a_single_column_has_no_pairs():
    train = meant(pa.table({"a": np.arange(100.0)}), {"a": "float"})
    found = drawn(train, train, label=None)
    assert "pair-errors" not in found
    assert "plane" not in found
    assert "column-overlays" in found


RARE = {
    "region": "Atlantis",
    "age": 7_654_321,
    "income": 98_765_432.25,
    "joined": datetime.date(1911, 11, 11),
    "seen": np.datetime64("1922-02-22T03:04:05").item(),
    "churned": None,
    "id": "X-unique",
}


def planted(rows, count):
    """Return customers of whom `count` have values that nobody else has."""
    table = customers(rows, 1)
    columns = {}
    for name in table.column_names:
        values = table[name].to_pylist()
        for place in range(count):
            value = RARE[name]
            values[place * 7] = value + place if isinstance(value, int | float) else value
        columns[name] = pa.array(values, type=table.schema.field(name).type)
    return pa.table(columns).replace_schema_metadata(table.schema.metadata)


def test_no_value_of_few_rows_is_in_any_figure():
    figures = drawn(planted(1200, 9), customers(1200, 9)).values()
    text = " ".join(f"{one.caption} {one.alt} {json.dumps(one.data)}" for one in figures)
    for trace in (
        "Atlantis",
        "7654",
        "7,654",
        "98765",
        "98,765",
        "9.8",
        "1911",
        "1922",
        "X-unique",
    ):
        assert trace not in text
    panels = drawn(planted(1200, 9), customers(1200, 9))["column-overlays"].data["panels"]
    for panel in panels:
        for part in panel.get("bins") or panel["levels"]:
            held = part["values"][0] * 1200
            assert held == pytest.approx(0, abs=0.02) or held > 9.4, (panel["title"], part)


def test_a_value_of_enough_rows_may_be_shown():
    levels = {
        level["label"]
        for panel in drawn(planted(1200, 12), customers(1200, 9))["column-overlays"].data["panels"]
        if panel["title"] == "region"
        for level in panel["levels"]
    }
    assert "Atlantis" in levels
    assert OTHERS not in levels


def test_points_of_real_rows_only_where_nothing_is_confidential(found):
    assert [group["name"] for group in found["plane"].data["groups"]] == ["synthetic rows"]
    assert found["plane"].data["density"]["cells"]
    open_ = drawn(customers(1200, 1), confidential=False)["plane"].data
    assert [group["name"] for group in open_["groups"]] == ["synthetic rows", "real rows (train)"]
    assert "density" not in open_
