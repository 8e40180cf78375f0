"""Constraints that cannot hold together are refused in one sentence that names both."""

import pytest

from gan.errors import ConfigError
from gan.tables.contradictions import check_constraints
from storage.records.constraint import Constraint
from storage.records.schema import Column
from storage.records.table_metadata import TableMetadata

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
    "e": "float",
    "f": "float",
    "then": "timestamp",
    "yes": "boolean",
}


def limited(name, low=None, high=None):
    return Constraint(kind="range", columns=(name,), low=low, high=high)


def upwards(*names, strict=False):
    return Constraint(kind="inequality", columns=names, strict=strict)


def of(kind, *names, **said):
    return Constraint(kind=kind, columns=names, **said)


def when(column, value, other, *values, exactly=True):
    return of("conditional", column, other, value=value, when=values, exactly=exactly)


YOUNG = {"cuts": (18.0,), "levels": ("young", "old")}


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
        (of("sum", "c", "a", "b"), of("product", "e", "c", "c"), of("ratio", "f", "e", "a", "a")),
        (of("difference", "a", "at", "day", unit="days"), upwards("day", "at")),
        (
            of("difference", "a", "at", "day", unit="days"),
            of("difference", "b", "at", "then", unit="days"),
        ),
        (of("band", "city", "a", **YOUNG), of("lookup", "land", "city"), limited("a", 0)),
        (of("one_of", "a", "b", "yes"), of("product", "f", "a", "c")),
        (when("a", "0", "city", "Bonn"), when("a", "1", "city", "Rome"), limited("a", 0, 9)),
        (of("product", "c", "a", "b"), limited("a", 0, 2), limited("b", 0, 3), limited("c", 5)),
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
        (
            (of("combinations", "city", "a"), of("one_of", "a", "b", "yes")),
            r"share column 'a': name all their columns in one, as combinations",
        ),
        (
            (of("product", "c", "a", "b"), of("sum", "a", "c", "b")),
            r"(?=.*product 'c')(?=.*sum 'a').* in a circle through",
        ),
        (
            (when("a", "0", "b", "1"), of("linear", "b", "a", weights=(2.0,))),
            r"in a circle through .*: remove one of them",
        ),
        (
            (of("ratio", "c", "a", "b"), of("band", "c", "a", **YOUNG)),
            r"bands 'c' of 'a' and the constraint ratio 'c' = 'a' / 'b' both decide column 'c'",
        ),
        (
            (
                of("difference", "a", "at", "day", unit="days"),
                of("difference", "a", "at", "then", unit="days"),
                of("difference", "b", "at", "then", unit="days"),
            ),
            r"compute columns from each other in a circle",
        ),
        ((of("product", "a", "b", "c"), of("one_of", "a", "e", "f")), r"both decide column 'a'"),
        ((when("a", "0", "b", "1"), of("unique", "a")), r"both decide column 'a'"),
        ((when("a", "0", "b", "1"), when("a", "0", "b", "2")), r"both decide column 'a'"),
        ((when("a", "0", "b", "1"), when("a", "1", "city", "x")), r"both decide column 'a'"),
        ((when("a", "-1", "b", "0"), limited("a", 0)), r"range of 'a' from 0 .*\(-1 is below 0\)"),
        (
            (of("product", "c", "a", "b"), limited("a", 2), limited("b", 3), limited("c", high=4)),
            r"product 'c' = 'a' \* 'b' and .*the others give at least 6",
        ),
        (
            (
                of("linear", "c", "a", weights=(-2.0,), offset=1.0),
                limited("a", 5),
                limited("c", 0),
            ),
            r"'c' = -2 \* 'a' \+ 1 and .*give at most -9",
        ),
        (
            (of("ratio", "c", "a", "b"), limited("a", 8), limited("b", 1, 2), limited("c", 0, 2)),
            r"the others give at least 4",
        ),
        ((of("product", "c", "a", "city"),), r"product .*'city' is of kind category"),
        (
            (of("difference", "a", "at", "b", unit="days"),),
            r"in this order, but .*'b' is of kind float",
        ),
        ((of("band", "city", "land", **YOUNG),), r"'land' is of kind category"),
        ((of("lookup", "city", "note"),), r"'note' is of kind text"),
        ((of("lookup", "city", "city"),), r"column 'city' twice"),
        ((of("product", "c", "c", "a"),), r"column 'c' twice"),
    ],
)
def test_what_cannot_hold_is_named(constraints, match):
    with pytest.raises(ConfigError, match=match):
        check(*constraints)
