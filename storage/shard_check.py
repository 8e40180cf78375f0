"""Whether records, or the bytes of a stored shard, are what the plan foresees."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.classes import ClassCounts
from storage.errors import IntegrityError
from storage.plan import Plan, ShardPlan
from storage.shards import SAMPLE_ID, load_format


def as_stored(plan: Plan, index: int, records: pa.Table) -> pa.Table:
    """Return the records as a shard holds them, with the metadata of the plan's schema.

    Where the format has a `sample_id`, it leads them and counts on from shard to shard.
    """
    if load_format(plan.format).sample_ids:
        first = plan.shards[index].first_id
        ids = pa.array(np.arange(first, first + len(records), dtype=np.int64))
        records = records.add_column(0, SAMPLE_ID, ids)
    return records.replace_schema_metadata(plan.record_schema.metadata)


def check_records(plan: Plan, index: int, records: pa.Table) -> str | None:
    """Return what is wrong with the records of a shard, as stored, or None."""
    shard, wanted = plan.shards[index], plan.record_schema
    if not records.schema.equals(wanted):
        return f"their schema is {_line(records.schema)}, not {_line(wanted)}"
    if len(records) != shard.rows:
        return f"there are {len(records)}, not {shard.rows}"
    if plan.label and shard.class_counts:
        counts = count_classes(records.column(plan.label))
        if counts != shard.class_counts:
            return f"their classes are {dict(counts)}, not {dict(shard.class_counts)}"
    if load_format(plan.format).sample_ids:
        return _check_ids(shard, records)
    return None


def _check_ids(shard: ShardPlan, records: pa.Table) -> str | None:
    ids = records.column(SAMPLE_ID).to_numpy()
    if not np.array_equal(ids, np.arange(shard.first_id, shard.first_id + shard.rows)):
        return f"their {SAMPLE_ID} do not count on from {shard.first_id}"
    return None


def count_classes(labels: pa.ChunkedArray) -> ClassCounts:
    """Return the count of every label, sorted by label."""
    counted = pc.value_counts(labels).to_pylist()
    return tuple(sorted((item["values"], item["counts"]) for item in counted))


def check_shard(uri: str, plan: Plan, index: int, data: bytes) -> None:
    """Decode a stored shard in full and compare it with the plan.

    Args:
        uri: the lake, for the message.
        plan: the agreed plan.
        index: which shard the bytes should be.
        data: the stored object.

    Raises:
        IntegrityError: it is another shard, or damaged; the message names key and remedy.
    """
    try:
        problem = _problem(plan, index, data)
    except IntegrityError as error:
        problem = str(error)
    if problem:
        msg = (
            f"{uri}/{plan.shard_key(index)} is not shard {index} of this run: {problem}; "
            "delete that object and run again"
        )
        raise IntegrityError(msg)


def _problem(plan: Plan, index: int, data: bytes) -> str | None:
    shard_format = load_format(plan.format)
    said = shard_format.metadata(data)
    expected = plan.shard_metadata(index) if shard_format.self_describing else {}
    for name, value in expected.items():
        if said.get(name) != value:
            return f"its {name} is {said.get(name)!r}, not {value!r}"
    records = shard_format.decode(data, plan.record_schema)
    return check_records(plan, index, records)


def _line(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
