"""Steps become entities: grouped, in order, with a step; what is unfit is refused in a sentence."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from storage.errors import SourceError
from storage.records.series import Step, lengths_of, read_series_metadata, to_long
from storage.shards.series import LONG, NESTED
from storage.sources.builder import load_builder
from storage.sources.config import SourceConfig
from storage.sources.open import open_source

NAMED = {"entity": "shop", "time": "day"}
RNG = np.random.default_rng(3)
NEW_YEAR, MIDNIGHT = date(2024, 1, 1), datetime.fromisoformat("2024-01-01")
HOUR, HOUR_US, FINE = timedelta(hours=1), 3_600_000_000, "microseconds"


def described(result):
    return read_series_metadata(result.schema)


def everything(result):
    """All records as long rows, by entity."""
    tables = [to_long(part, described(result)) for part in result.records.values()]
    return pa.concat_tables(tables).sort_by(
        [(described(result).entity.name, "ascending"), (described(result).time.name, "ascending")]
    )


def with_column(table, name, values):
    return table.set_column(table.column_names.index(name), name, values)


def timed(moments, zone=None, entities=120):
    """A panel whose entities all have these moments."""
    kind = pa.timestamp("us", zone) if isinstance(moments[0], datetime) else None
    column = pa.array(list(moments) * entities, kind)
    return pa.table(
        {
            "shop": np.repeat([f"S{n:04}" for n in range(entities)], len(moments)),
            "day": column,
            "sold": RNG.poisson(5, len(column)),
        }
    )


def test_rows_of_one_entity_are_one_record_and_nothing_is_lost(panel, write_table, prepared):
    table = panel()
    result = prepared(write_table(table, "panel.csv"), label="region", **NAMED)
    metadata = described(result)
    assert result.modality == "series"
    assert sum(result.rows.values()) == 120
    assert [one.name for one in metadata.statics] == ["region"]
    assert [one.name for one in metadata.variables] == ["sold", "price"]
    assert (metadata.entity.kind, metadata.time.kind) == ("key", "date")
    assert metadata.step == Step(count=1, unit="days")
    assert everything(result).equals(table)
    counts = dict(result.class_counts["train"])
    assert sum(counts.values()) == result.rows["train"]
    assert set(counts) == {"north", "south"}


def test_rows_in_any_order_are_the_same_entities(panel, write_table, prepared):
    table = panel()
    shuffled = table.take(pa.array(RNG.permutation(len(table))))
    one = prepared(write_table(table, "a.parquet"), label=None, **NAMED)
    other = prepared(write_table(shuffled, "b.parquet"), label=None, **NAMED)
    assert everything(one).equals(everything(other))
    assert one.split_digest == other.split_digest
    for split, records in one.records.items():
        assert set(records["shop"].to_pylist()) == set(other.records[split]["shop"].to_pylist())
    assert any("in order by entity" in note for note in other.notes)


def test_few_missing_steps_are_put_in_without_values(panel, write_table, prepared):
    table = panel()
    inner = pc.equal(pc.day(table["day"]), 13)
    kept = table.filter(pc.invert(inner))
    result = prepared(write_table(kept), label=None, **NAMED)
    found = everything(result)
    assert described(result).step == Step(count=1, unit="days")
    missing = found.filter(pc.is_null(found["sold"]))
    assert len(missing) > 0
    assert missing["price"].null_count == len(missing)
    assert missing["region"].null_count == 0
    assert any("steps that are missing" in note for note in result.notes)
    gaps = [
        np.diff([d.toordinal() for d in days])
        for days in result.records["train"]["day"].to_pylist()
    ]
    assert all((one == 1).all() for one in gaps)


@pytest.mark.parametrize(
    ("moments", "step"),
    [
        ([NEW_YEAR + timedelta(n) for n in range(9)], Step(count=1, unit="days")),
        ([date(2020 + m // 12, m % 12 + 1, 1) for m in range(15)], Step(count=1, unit="months")),
        ([date(2000 + y, 12, 31) for y in range(9)], Step(count=12, unit="months")),
        ([*range(1990, 2000)], Step(count=1, unit="ones")),
        ([MIDNIGHT + n * 2 * HOUR for n in range(12)], Step(count=2 * HOUR_US, unit=FINE)),
        ([MIDNIGHT + n * n * HOUR for n in range(5)], None),
        ([NEW_YEAR + timedelta(n + n // 5 * 2) for n in range(20)], None),
    ],
    ids=["days", "months", "year-ends", "numbers", "hours", "irregular", "working-days"],
)  # fmt: skip
def test_the_step_is_found(moments, step, write_table, prepared):
    result = prepared(write_table(timed(moments)), label=None, **NAMED)
    assert (described(result).step, described(result).zone) == (step, None)
    assert sum(lengths_of(one, described(result)).sum() for one in result.records.values()) == (
        120 * len(moments)
    )


@pytest.mark.parametrize(("hours", "zone"), [(24, "Europe/Berlin"), (1, None)])
def test_days_go_by_the_clocks_of_a_time_zone_and_hours_by_themselves(
    hours, zone, write_table, prepared
):
    first = datetime.fromisoformat("2024-03-29")
    local = pa.array([first + timedelta(days=n) for n in range(6)])
    moments = pc.assume_timezone(local.cast(pa.timestamp("us")), "Europe/Berlin").to_pylist()
    if hours == 1:
        moments = [moments[0].astimezone(UTC) + n * HOUR for n in range(72)]
    result = prepared(write_table(timed(moments, "Europe/Berlin")), label=None, **NAMED)
    assert described(result).step == Step(count=hours * 3_600_000_000, unit="microseconds")
    assert described(result).zone == zone
    assert result.schema.field("day").type.value_type == pa.timestamp("us", "Europe/Berlin")


def test_weeks_that_begin_on_different_days_are_irregular(write_table, prepared):
    table = timed([NEW_YEAR + timedelta(7 * n) for n in range(5)])
    shifted = [day + timedelta(row // 5 % 7) for row, day in enumerate(table["day"].to_pylist())]
    same = prepared(write_table(table, "same.parquet"), label=None, **NAMED)
    assert described(same).step == Step(count=7, unit="days")
    other = with_column(table, "day", pa.array(shifted))
    result = prepared(write_table(other, "other.parquet"), label=None, **NAMED)
    assert described(result).step is None
    assert sum(result.rows.values()) == 120


def test_dates_and_numbers_stored_as_text_are_read_and_stay_text_in_shards(
    panel, write_table, prepared
):
    table = panel()
    texts = with_column(table, "day", table["day"].cast(pa.string()))
    result = prepared(write_table(texts), label=None, **NAMED)
    assert described(result).time.kind == "date"
    shards = load_builder("series")
    assert shards.describe(result.schema).startswith("entities of 1 static column and 2 variables")


def few(table, count):
    return table.filter(pc.is_in(table["shop"], pa.array([f"S{n:05}" for n in range(count)])))


def nulled(table, name):
    """A panel with nulls in one entity's rows of a column."""
    mine = pc.equal(table["shop"], "S00003")
    nothing = pa.scalar(None, table.schema.field(name).type)
    return with_column(table, name, pc.if_else(mine, nothing, table[name]))


def constant_but_label(table):
    return with_column(table, "sold", pa.array([1] * len(table))).drop_columns("price")


CASES = {
    "no-entity": ({"time": "day"}, lambda t: t, "name the column in source.entity"),
    "no-time": ({"entity": "shop"}, lambda t: t, "name in source.time the column"),
    "one-column": ({"entity": "day", "time": "day"}, lambda t: t, "name two columns"),
    "misspelt": ({"entity": "shops", "time": "day"}, lambda t: t, r"did you mean 'shop'\?"),
    "time-of-floats": ({"entity": "shop", "time": "price"}, lambda t: t, "store whole numbers"),
    "time-of-words": ({"entity": "shop", "time": "region"}, lambda t: t, "source.csv.date_format"),
    "entity-of-floats": ({"entity": "number", "time": "day"}, lambda t: t.append_column(
        "number", pa.array(np.repeat(np.arange(120) + 0.5, 8))), "names are text or whole numbers"),
    "twice": (NAMED, lambda t: pa.concat_tables([t, t.slice(8, 1)]), "that one 'shop' has already"),
    "null-entity": (NAMED, lambda t: nulled(t, "shop"), "source.entity is empty in 8 of"),
    "null-time": (NAMED, lambda t: nulled(t, "day"), "source.time is empty in 8 of"),
    "single-steps": (NAMED, lambda t: t.take(pa.array(range(0, len(t), 8))), "there is no series"),
    "few": (NAMED, lambda t: few(t, 40), "holds 40 entities, and at least 100"),
    "no-variable": (NAMED, constant_but_label, "has no variable"),
    "constraint": (NAMED | {"constraints": ({"kind": "range", "columns": ("sold",), "low": 0},)},
        lambda t: t, "constraints are kept in rows of tables"),
    "entity-dropped": (NAMED | {"columns": ({"name": "shop", "kind": "text", "text": "drop"},)},
        lambda t: t, "did you mean|said to be left out|has no column 'shop'"),
    "entity-of-a-kind": (NAMED | {"columns": ({"name": "shop", "kind": "category"},)},
        lambda t: t, "said to be category"),
    "names-of-steps": (NAMED, lambda t: t.append_column(
        "receipt", pa.array([f"R{n:06}" for n in range(len(t))])), "would name every step"),
    "split-by-step": (NAMED | {"split": {"group_by": "sold"}}, lambda t: t, "on two sides"),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "change", "sentence"), CASES.values(), ids=CASES)
def test_what_is_unfit_is_refused_in_a_sentence(
    fields, change, sentence, panel, write_table, prepared
):
    path = write_table(change(panel()))
    with pytest.raises(SourceError, match=sentence) as caught:
        prepared(path, label=None, **fields)
    assert "\n" not in str(caught.value)


def test_a_label_is_one_value_of_an_entity(panel, write_table, prepared):
    path = write_table(panel())
    with pytest.raises(SourceError, match=r"'sold' .* changes within entities") as caught:
        prepared(path, label="sold", **NAMED)
    assert [one.setting for one in caught.value.proposals] == ["source.label"]
    with pytest.raises(SourceError, match=r"is the one of source\.entity"):
        prepared(path, label="shop", **NAMED)


def test_too_few_long_entities_are_offered_windows(panel, write_table, prepared):
    path = write_table(panel(entities=12, days=400))
    with pytest.raises(SourceError, match=r"source\.window") as caught:
        prepared(path, label=None, **NAMED)
    (proposal,) = caught.value.proposals
    assert proposal.value == {"length": 14, "stride": 14}
    result = prepared(path, label=None, window=proposal.value, **NAMED)
    assert 12 * 27 <= sum(result.rows.values()) <= 12 * 28


@pytest.mark.parametrize("name", ["entity", "time", "window"])
def test_settings_of_series_are_refused_for_tables(name, panel, write_table):
    value = {"length": 3} if name == "window" else "shop"
    config = SourceConfig(
        uri=str(write_table(panel())), label=None, modality="tables", **{name: value}
    )
    with pytest.raises(SourceError, match=f"source.{name} .* has no effect .* tables"):
        open_source(config)


def test_a_rare_text_is_what_few_entities_have_however_often(panel, write_table, prepared):
    table = panel()
    shop = [int(name[1:]) for name in table["shop"].to_pylist()]
    words = ["first", *["other"] * 7] * 120
    both = zip(words, shop, strict=True)
    own = pa.array([f"the {word} remark of shop {one} alone" for word, one in both])
    with pytest.raises(SourceError, match=r"'own' \(text: 240 different values in 240 rows"):
        prepared(write_table(table.append_column("own", own)), label=None, **NAMED)
    shared = pa.array(["yes" if row % 3 else "no" for row in range(len(shop))])
    result = prepared(write_table(table.append_column("shared", shared)), label=None, **NAMED)
    assert {one.name: one.kind for one in described(result).variables}["shared"] == "category"


def test_windows_must_say_a_length_before_a_stride():
    with pytest.raises(ValueError, match="stride 3 and no length"):
        SourceConfig(uri="x", window={"stride": 3})
    assert SourceConfig(uri="x", window=None).window.length is None


def test_the_example_is_made_up_the_same_everywhere(prepared):
    result = prepared("example:shops", label="shop")
    assert sum(result.rows.values()) == 600
    assert described(result).order == (
        "item",
        "shop",
        "date",
        "units",
        "price",
        "promotion",
        "stock",
    )
    prices = result.records["train"]["price"].to_pylist()
    stays = np.mean(np.concatenate([np.diff(one) == 0 for one in prices]))
    assert 0.8 < stays < 0.95
    assert open_source(SourceConfig(uri="example:shops", label="shop")).description.rows == 600


def test_columns_that_name_entities_together_stay_static(panel, write_table, prepared):
    table = panel()
    shop = pa.array([f"shop {int(name[1:]) // 10}" for name in table["shop"].to_pylist()])
    item = pa.array([int(name[1:]) % 10 for name in table["shop"].to_pylist()])
    both = table.set_column(0, "item", item).add_column(0, "branch", shop)
    result = prepared(write_table(both), label=None, entity="branch, item", time="day")
    metadata = described(result)
    assert metadata.entity.name == "branch_item"
    assert [one.name for one in metadata.statics] == ["branch", "item", "region"]
    assert sorted(everything(result)["branch_item"].unique().to_pylist()) == list(range(120))
    config = SourceConfig(uri=str(write_table(both)), label=None, entity="branch, item", time="day")
    assert open_source(config).description.rows == 120
    with pytest.raises(SourceError, match="has no column 'goods'"):
        prepared(write_table(both), label=None, entity="branch, goods", time="day")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_each_file_may_be_one_entity(ending, panel, write_table, prepared, tmp_path):
    table = panel(entities=100)
    for number in range(100):
        rows = table.slice(8 * number, 8).drop_columns("shop")
        write_table(rows, f"files/sensor-{number:03}.{ending}")
    result = prepared(tmp_path / "files", label="region", entity=rf"([^/]+)[.]{ending}", time="day")
    assert sum(result.rows.values()) == 100
    assert described(result).entity.form == "sensor-999"
    assert everything(result)["entity"].to_pylist()[::8] == [f"sensor-{n:03}" for n in range(100)]
    assert everything(result)["sold"].equals(table["sold"])


def test_whole_floats_are_keys_and_moments_and_floats_again_in_shards(panel, write_table, prepared):
    table = panel()
    number = pa.array([float(name[1:]) for name in table["shop"].to_pylist()])
    year = pa.array(np.tile(np.arange(2000.0, 2008.0), 120))
    floats = table.set_column(0, "shop", number).set_column(2, "day", year)
    result = prepared(write_table(floats), label=None, **NAMED)
    assert described(result).step == Step(count=1, unit="ones")
    assert described(result).entity.form == "9999999"
    for shard_format in (NESTED, LONG):
        kept = shard_format.file_schema(result.schema)
        assert kept.field("shop").type == pa.float64()
        records = result.records["train"]
        data = shard_format.encode(records, {})
        assert shard_format.decode(data, records.schema).equals(
            records.replace_schema_metadata(None)
        )
