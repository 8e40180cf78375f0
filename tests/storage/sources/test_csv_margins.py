"""Titles above a header, comments, totals and sources below the rows: taken away, and said."""

import pytest

from storage.errors import SourceError
from storage.sources.config import CsvConfig, SourceConfig
from storage.sources.listing import find_files
from storage.sources.tables.csv_source import read_csv_files

ROWS = "".join(f"{18 + i % 60};{'ab'[i % 2]};{i},5\n" for i in range(150))
HEADER = "age;kind;paid\n"
PLAIN = HEADER + ROWS


@pytest.fixture
def read(tmp_path):
    def run(text, **csv):
        (tmp_path / "a.csv").write_text(text, newline="")
        config = SourceConfig(uri=str(tmp_path / "a.csv"), label=None, csv=CsvConfig(**csv))
        return read_csv_files(find_files(config, None), config)

    return run


@pytest.mark.parametrize(
    ("above", "below", "lines"),
    [
        ("Sales report 2024\n", "", "1 line above"),
        ("Sales report 2024;;\n;;\n", "", "2 lines above"),
        ("Sales report\nof the office; 2024-01-31\n\n", "", ""),
        ("# made by tool, version 2\n# on Monday; at noon\n", "", "2 lines above"),
        ("", "Total;;11250,5\n", "1 line below"),
        ("", "\nSource: the office\n\n", "1 line below"),
        ("", "Summe;;11250,5\nQuelle: Amt\n", "2 lines below"),
        ("Report\n", "Grand total;;1,5\n", "1 line below"),
        ("", "", ""),
    ],
)
def test_margins_are_taken_away_and_said(read, above, below, lines):
    found = read(above + PLAIN + below)
    assert found.table.column_names == ["age", "kind", "paid"]
    assert found.table.equals(read(PLAIN).table)
    if lines:
        assert any(lines in note for note in found.notes)
    elif not above:
        assert not any("left out" in note for note in found.notes)


@pytest.mark.parametrize(
    "text",
    [
        "x\n" + "".join(f"{i};{i * 3 % 7}\n" for i in range(150)),  # a header that lacks a name
        ";;kind\n" + "".join(f"{i};{i % 7};{'ab'[i % 2]}\n" for i in range(150)),
        "kind;n\n" + "".join(f"{('Total', 'b')[i % 2]};{i}\n" for i in range(150)),
    ],
    ids=["R", "unnamed", "totals"],
)
def test_what_may_be_a_header_or_a_row_stays(read, text):
    try:
        found = read(text)
    except SourceError as error:
        assert "header has 1" in str(error)  # noqa: PT017 - it is one or the other
    else:
        assert len(found.table) == 150
        assert not any("left out" in note for note in found.notes)


def test_the_recipe_says_how_many_lines(read):
    text = "a;b;c\nunits;-;EUR\n" + PLAIN + "99;z;1,5\n98;z;2,5\n"
    found = read(text, skip_rows=2, skip_footer=2)
    assert found.table.equals(read(PLAIN).table)
    kept = read(PLAIN + "Total;;7,5\n", skip_footer=0, nulls=["Total"])
    assert len(kept.table) == 151


def test_lines_keep_their_numbers(read):
    with pytest.raises(SourceError, match="line 154 "):
        read("Report\n\n" + PLAIN + "soon;z;1,5\n")
    with pytest.raises(SourceError, match=r"Line 4 of 'a\.csv' has 4 fields"):
        read("Report\n\n" + HEADER + "1;a;2,5;x\n" + ROWS)


def test_comments_between_rows_are_left_out_where_they_are_no_rows(read):
    lines = PLAIN.splitlines(keepends=True)
    found = read("".join([*lines[:70], "# the machine was off\n", *lines[70:]]))
    assert found.table.equals(read(PLAIN).table)
    assert any("begin with #" in note for note in found.notes)
    channels = "#channel;n\n" + "".join(f"#{i % 3};{i}\n" for i in range(150))
    assert read(channels).table["#channel"].to_pylist()[:2] == ["#0", "#1"]


def test_names_that_come_twice_are_told_apart_and_written_alike(read):
    found = read("a;b;a;a_2\n" + "".join(f"{i};{i % 7};{i % 5};x\n" for i in range(150)))
    assert found.table.column_names == ["a", "b", "a_3", "a_2"]
    assert any("are called 'a_3'" in note for note in found.notes)


def test_what_is_detected_is_in_no_key():
    assert CsvConfig().to_json().keys() == CsvConfig(decimal=",").to_json().keys()
    assert "skip_rows" not in CsvConfig().to_json()
    assert CsvConfig(skip_rows=0).to_json()["skip_rows"] == 0
