"""Bad CSV files: one sentence each, with the place and the remedy."""

from collections.abc import Callable
from pathlib import Path

import pytest

from storage.errors import SourceError
from storage.sources.config import SourceConfig
from storage.sources.listing import find_files
from storage.sources.tables.csv_source import read_csv_files

Refused = Callable[..., str]

NUMBERS = "".join(f"{i},x\n" for i in range(50))
DAYS = "".join(f"{i % 28 + 1:02}.03.2025,x\n" for i in range(50))


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """Write files, read them as one source, and return the refusal."""

    def run(content: str | bytes | dict[str, str], **fields: object) -> str:
        files = content if isinstance(content, dict) else {"a.csv": content}
        for name, data in files.items():
            (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        uri = str(tmp_path if isinstance(content, dict) else tmp_path / "a.csv")
        config = SourceConfig(uri=uri, label=None, **fields)
        with pytest.raises(SourceError) as error:
            read_csv_files(find_files(config, None), config)
        text = str(error.value)
        assert "\n" not in text
        assert text.endswith(".")
        return text

    return run


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("a,b\n1,2\n3,4,5\n6,7\n", ["Line 3 of 'a.csv' has 3 fields", "header has 2"]),
        ("a,b,c\n1,2,3\n4,5\n", ["Line 3 of 'a.csv' has 2 fields", "header has 3"]),
        ('a,b\n1,"x\ny"\n2,z,w\n', ["Line 4 of 'a.csv' has 3 fields"]),
        ('a,b\n1,x\n2,"y\n3,z\n', ["Line 3 of 'a.csv' opens a quote", "not closed"]),
        ('a,b\n1,"abc\n2,def\n3,"ghi"\n', ["Line 2 of 'a.csv' opens a quote"]),
        ('a,b\n1,"x,y\n2,z\n3,"w",v\n', ["Line 2 of 'a.csv' opens a quote"]),
        ("a,b\n1,2\n3,\0\n", ["NUL byte in line 3"]),
        ("a,b\n1,2\n".encode("utf-16-le"), ["NUL bytes", "utf-16-le"]),
        ("a,b\n1,ü\n2,x\n".encode() + b"3,\xfc\n", ["byte 15 (0xfc) in line 4", "cp1252"]),
        (b"a,b\n1,\xff\xc3\xbc\n", ["not utf-8", "line 2"]),
        ("", ["is empty"]),
        (" \n\n", ["is empty"]),
        ("a,b\n", ["a header and no row"]),
        ("1,2.5,x\n3,4.5,y\n5,6.5,z\n", ["reads like data", "header line"]),
        ("2025-01-01,7\n2025-01-02,8\n", ["reads like data"]),
        ("0,1,7\n4,3,1\n", ["reads like data"]),
        (b"\x1f\x8b\x08broken", ["broken gzip file"]),
        ("a,b\n" + NUMBERS + "oops,x\n", ["'a'", "whole numbers and words", "line 52", "'aaaa'"]),
        ("a,b\n" + DAYS + "31.02.2025,x\n", ["'a'", "line 52", "%d.%m.%Y", "'99.99.9999'"]),
        ("a,b\n01/02/2025,x\n03/04/2025,y\n", ["'a'", "day/month/year", "source.csv.date_format"]),
        ("a;b\n1.234;x\n2.345;y\n", ["'a'", "9.999", "source.csv.decimal"]),
        ("a\tb\n1,234\tx\n2,345\ty\n", ["'a'", "9,999", "source.csv.decimal"]),
        ("a;b\n1,5;2.5\n2,25;3.5\n", ["point in the column 'b'", "comma in 'a'"]),
    ],
)
def test_a_broken_file_is_refused_with_its_place(refused, content, parts):
    text = refused(content)
    for part in parts:
        assert part in text


def test_a_word_that_many_rows_hold_is_shown_and_a_rare_one_is_not(refused):
    often = refused("a,b\n" + NUMBERS * 5 + "missing,x\n" * 12)
    assert "'missing'" in often
    assert "source.csv.nulls" in often
    rare = refused("a,b\n" + NUMBERS + "Smith,x\n")
    assert "Smith" not in rare
    assert "'Aaaaa'" in rare


def test_the_line_is_that_of_the_file_whatever_comes_before(refused):
    two = {"a.csv": "a,b\n" + NUMBERS, "b.csv": 'a,b\n7,"two\nlines"\n\nx,8\n'}
    assert "line 5 of 'b.csv'" in refused(two)
    assert "line 4 of 'a.csv'" in refused("sep=,\na,b\n1,x\noops,y\n" + NUMBERS)


def test_headers_of_a_folder_must_agree(refused):
    text = refused({"a.csv": "x,y\n1,2\n", "b.csv": "y,z\n3,4\n"})
    assert "header of 'b.csv' differs from that of 'a.csv'" in text
    assert "lacks 'x' and has 'z' besides" in text


@pytest.mark.parametrize(
    ("csv", "parts"),
    [
        ({"encoding": "utf-8"}, ["'a.csv' is not utf-8", "line 2", "cp1252"]),
        ({"encoding": "utf8x"}, ["'utf8x' is no encoding"]),
        ({"encoding": "ascii"}, ["not ascii", "line 2", "latin-1"]),
        ({"date_format": "%Y"}, ["'%Y' is no format of dates"]),
    ],
)
def test_wrong_settings_are_refused(refused, csv, parts):
    text = refused("a,b\n1,ü\n".encode("cp1252"), csv=csv)
    for part in parts:
        assert part in text


@pytest.mark.parametrize(
    ("kind", "content", "parts"),
    [
        ("integer", "a,b\n01,x\n1.5,y\n", ["cannot be read as integer", "line 3", "'9.9'"]),
        ("float", "a,b\n1.5,x\nlow,y\n", ["cannot be read as float", "line 3", "'aaa'"]),
        ("decimal", "a,b\n1.5,x\n1e5,y\n", ["cannot be read as decimal"]),
        ("boolean", "a,b\nyes,x\nperhaps,y\n", ["cannot be read as boolean", "'aaaaaaa'"]),
        ("date", "a,b\nsoon,x\nlater,y\n", ["cannot be read as date", "line 2", "date_format"]),
        ("date", "a,b\n01/02/2025,x\n", ["equally well"]),
    ],
)
def test_a_kind_that_the_texts_cannot_be_is_refused(refused, kind, content, parts):
    text = refused(content, columns=[{"name": "a", "kind": kind}])
    for part in parts:
        assert part in text


def test_what_is_dropped_or_a_category_is_not_judged(refused, tmp_path):
    content = "a,b\n" + NUMBERS + "oops,x\n"
    for column in ({"kind": "category"}, {"kind": "text", "text": "drop"}):
        config = SourceConfig(
            uri=str(tmp_path / "a.csv"), label=None, columns=[{"name": "a", **column}]
        )
        (tmp_path / "a.csv").write_text(content)
        table = read_csv_files(find_files(config, None), config).table
        assert table.column("a").to_pylist()[-1] == "oops"


def test_a_delimiter_that_the_header_does_not_hold_is_told_and_no_row_is_shown(refused):
    rows = "".join(f"{i};{i},5;secret{i}\n" for i in range(20))
    text = refused(f"id;amount;name\n{rows}", csv={"delimiter": ","})
    assert "delimiter is ','" in text
    assert "set it to ';'" in text
    assert "secret" not in text
