"""Constraints that cannot hold together are refused in one sentence that names both."""

import pytest

from gan.errors import ConfigError
from gan.tables.contradictions import check_constraints
from storage.records.schema import Column, Constraint, TableMetadata

KINDS = {
    "a": "integer",
    "b": "float",
    "c": "decimal",
    "day": "date",
    "at": "timestamp",
    "city": "category",
    "land": "category",
    "id": "key",
    "note": "text",
}


def limited(name, low=None, high=None):
    return Constraint(kind="range", columns=(name,), low=low, high=high)


def upwards(*names, strict=False):
    return Constraint(kind="inequality", columns=names, strict=strict)


def of(kind, *names):
    return Constraint(kind=kind, columns=names)


def check(*constraints):
    columns = tuple(Column(name=name, kind=kind) for name, kind in KINDS.items())
    check_constraints(TableMetadata(columns=columns, constraints=constraints))


@pytest.mark.parametrize(
    "constraints",
    [
        (limited("a", 0, 10), limited("a", 5), limited("b", high=5), upwards("a", "b")),
        (upwards("a", "b"), upwards("b", "c"), upwards("a", "c", strict=True)),
        (upwards("day", "at"),),
        (of("sum", "c", "a", "b"), limited("a", 0), limited("b", 0), limited("c", 0, 9)),
        (of("sum", "c", "a", "b"), upwards("a", "c")),
        (of("combinations", "city", "land"), of("unique", "city", "a"), of("unique", "id", "a")),
        (limited("a", 3, 3), limited("b", 3, 3), upwards("a", "b")),
    ],
)
def test_what_can_hold_passes(constraints):
    check(*constraints)


@pytest.mark.parametrize(
    ("constraints", "match"),
    [
        ((limited("a", 3, 1),), r"range of 'a' from 3 to 1 is empty"),
        ((limited("a", 3), limited("a", high=1)), r"'a' from None to 1 and .*'a' from 3"),
        (
            (limited("a", 3), limited("b", high=3), upwards("a", "b", strict=True)),
            r"'a' < 'b' and the constraint range of 'a' from 3",
        ),
        (
            (limited("a", 5), limited("c", high=4), upwards("b", "c"), upwards("a", "b")),
            r"'b' <= 'c' and the constraint range of 'a' from 5",
        ),
        (
            (upwards("a", "b", strict=True), upwards("b", "c", "a")),
            r"'a' < 'b' and the constraint .* in a circle",
        ),
        (
            (of("sum", "c", "a", "b"), limited("a", 6), limited("b", 6), limited("c", high=10)),
            r"sum 'c' = 'a' \+ 'b' and .*'c' from None to 10.*at least 12",
        ),
        (
            (of("sum", "c", "a", "b"), limited("a", 0, 1), limited("b", 0, 1), limited("c", 3)),
            r"at most 2",
        ),
        ((of("sum", "c", "a", "b"), of("sum", "c", "b", "a")), r"both decide column 'c'"),
        ((of("sum", "c", "a", "b"), of("unique", "c")), r"both decide column 'c'"),
        ((limited("city", 1),), r"'city' is of kind category"),
        ((limited("day", 1),), r"'day' is of kind date"),
        ((upwards("a", "day"),), r"'a' is of kind integer, 'day' is of kind date"),
        ((of("sum", "a", "b", "id"),), r"'id' is of kind key"),
        ((of("combinations", "city", "note"),), r"column 'note', whose values are not learnt"),
        ((of("unique", "note"),), r"column 'note', whose values are not learnt"),
        ((of("unique", "a", "a"),), r"column 'a' twice"),
        ((of("unique", "a", "z"),), r"column 'z', which the table does not have"),
        (
            (of("combinations", "city", "land"), of("combinations", "land", "a")),
            r"share column 'land'",
        ),
    ],
)
def test_what_cannot_hold_is_named(constraints, match):
    with pytest.raises(ConfigError, match=match):
        check(*constraints)
