"""How a CSV is written is found from its bytes, said in one line, and overruled by the recipe."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.sources.config import SourceConfig
from storage.sources.listing import find_files
from storage.sources.tables.csv_source import read_csv_files
from storage.sources.tables.dialect import KEY, Dialect, Style, dialect_of, in_words
from storage.sources.tables.source import TableRead

Read = Callable[..., TableRead]


def written(found: TableRead) -> Dialect:
    return dialect_of(found.table.schema)


EXCEL = (
    "sep=;\r\nName;Betrag;Kauf;PLZ\r\n"
    "Müller;1.234,50;31.12.2025;01234\r\nMaier;12,00;01.01.2024;99999\r\n"
)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write files and read them as one source."""

    def run(content: str | bytes | dict[str, bytes], **fields: object) -> TableRead:
        files = content if isinstance(content, dict) else {"a.csv": content}
        for name, data in files.items():
            (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        uri = str(tmp_path if isinstance(content, dict) else tmp_path / "a.csv")
        config = SourceConfig(uri=uri, label=None, **fields)
        return read_csv_files(find_files(config, None), config)

    return run


@pytest.mark.parametrize(
    ("text", "delimiter", "columns"),
    [
        ("a,b\n1,x\n", ",", 2),
        ("a;b\n1,5;x\n2,5;y\n", ";", 2),
        ("a\tb c\n1\tx, y\n", "\t", 2),
        ("a|b|c\n1|x;y|z\n", "|", 3),
        ('a,"b;c;d"\n1,"x;y;z"\n2,q\n', ",", 2),
        ("a;b\n1;x, y, z\n2;u, v, w\n", ";", 2),
    ],
)
def test_the_delimiter_gives_every_row_as_many_fields_as_the_header(read, text, delimiter, columns):
    found = read(text)
    assert written(found).delimiter == delimiter
    assert found.table.num_columns == columns


def test_an_excel_export_is_understood_and_said_in_one_line(read):
    found = read(EXCEL.encode("utf-8-sig"))
    assert found.notes[0] == written(found).describe()
    assert written(found).describe() == (
        "CSV: delimiter ';', encoding utf-8, decimal ',', thousands '.', "
        "dates day.month.year in 'Kauf'"
    )
    assert (written(found).bom, written(found).sep_line, written(found).line_end) == (
        True,
        True,
        "\r\n",
    )
    assert found.table.column("Betrag").to_pylist() == [1234.5, 12.0]
    assert [str(kind) for kind in found.table.schema.types] == [
        "string",
        "double",
        "date32[day]",
        "string",
    ]
    assert found.metadata == {KEY: written(found).to_json()}


@pytest.mark.parametrize(
    ("data", "encoding", "said"),
    [
        ("a,b\n1,ü\n".encode(), "utf-8", False),
        ("a,b\n1,ü\n".encode("utf-8-sig"), "utf-8", False),
        ("a,b\n1,ü\n".encode("utf-16"), "utf-16-le", False),
        (b"\xfe\xff" + "a,b\n1,ü\n".encode("utf-16-be"), "utf-16-be", False),
        ("a,b\n1,ü€\n".encode("cp1252"), "cp1252", True),
        (b"a,b\n1,\x81\xe9\n", "latin-1", True),
    ],
)
def test_the_encoding_is_found_and_a_guess_is_said(read, data, encoding, said):
    found = read(data)
    assert written(found).encoding == encoding
    assert found.table.column("b").to_pylist()[0][-1] in "ü€é"
    assert any(f"read as {encoding}" in note for note in found.notes) is said


def test_gzip_is_told_by_its_content(read):
    assert read(gzip.compress(b"a,b\n1,x\n")).table.to_pylist() == [{"a": 1, "b": "x"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_line_ends_inside_quotes(read, end):
    found = read(f'a,b{end}1,"two{end}lines"{end}2,"say ""hi"", ok"{end}')
    assert written(found).line_end == end
    assert found.table.column("b").to_pylist() == [f"two{end}lines", 'say "hi", ok']


def test_single_quotes_where_every_row_has_them(read):
    found = read("a,b\n1,'x, y'\n2,'z'\n")
    assert written(found).quote == "'"
    assert found.table.column("b").to_pylist() == ["x, y", "z"]


def test_a_space_after_every_delimiter_belongs_to_the_dialect(read):
    found = read('age, job, pay\n39, State-gov, 1.5\n50, "Own, small", ?\n')
    assert written(found).space
    assert found.table.column("job").to_pylist() == ["State-gov", "Own, small"]
    assert found.table.column("pay").to_pylist() == [1.5, None]


def test_blanks_around_names_are_kept_for_writing_alone(read):
    found = read(" a ,b\t\n1,2\n")
    assert found.table.column_names == ["a", "b"]
    assert written(found).style("a").header == " a "


@pytest.mark.parametrize("text", ["a;b;;\n1;2;;\n3;4;;\n", "a;b\n1;2;;\n3;4;;\n"])
def test_columns_without_a_name_and_a_value_are_left_out(read, text):
    if text.startswith("a;b\n"):
        text = text.replace(";;", ";")
    found = read(text)
    assert found.table.column_names == ["a", "b"]
    assert written(found).trailing == text.splitlines()[1].count(";") - 1


def test_rows_without_any_value_are_left_out(read):
    found = read("a,b\n1,2\n3,\n,\n,\n")
    assert found.table.to_pylist() == [{"a": 1, "b": 2}, {"a": 3, "b": None}]
    assert "2 rows without any value are left out" in found.notes


def test_texts_beyond_the_limit_of_the_csv_module(read):
    long = "x\n" * 100_000
    assert read(f'a,b\n1,"{long}"\n2,y\n').table.column("b").to_pylist() == [long, "y"]


@pytest.mark.parametrize(
    "text",
    [
        "id,2024-01,2024-02\na,7,9\nb,8,4\n",
        "01.02.2024,02.02.2024\n7,9\n8,4\n",
        "0,1,2\n0.5,1.5,2.5\n4,3,1\n",
        ",0,1,2\n0,0.5,1.5,2.5\n1,4,3,1\n",
    ],
)
def test_dates_over_numbers_and_numbers_that_count_up_are_names(read, text):
    found = read(text)
    assert found.table.num_rows == 2
    assert found.table.column_names[-1] == text.split("\n")[0].split(",")[-1]


def test_an_index_without_a_name_gets_one(read):
    found = read(",a\n0,x\n1,y\n")
    assert found.table.column_names == ["column_1", "a"]
    assert written(found).style("column_1").header == ""
    assert any("column_1" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "decimal", "thousands", "values"),
    [
        ("v;w\n1,5;a\n2,25;b\n", ",", None, [1.5, 2.25]),
        ("v;w\n1.5;a\n2.25;b\n", ".", None, [1.5, 2.25]),
        ("v;w\n1.234,5;a\n2,25;b\n", ",", ".", [1234.5, 2.25]),
        ("v;w\n1.234.567;a\n2.000;b\n", ",", ".", [1234567, 2000]),
        ('v,w\n"1,234.5",a\n2.25,b\n', ".", ",", [1234.5, 2.25]),
        ('v,w\n"1,5",a\n"2,25",b\n', ",", None, [1.5, 2.25]),
        ("v\tw\n0,125\ta\n0,250\tb\n", ",", None, [0.125, 0.25]),
        ("v;w\n1'234,5;a\n2,25;b\n", ",", "'", [1234.5, 2.25]),
        ("v;w\n1\u202f234,5;a\n2,25;b\n", ",", "\u202f", [1234.5, 2.25]),
        ("v;w\n1 234,5;a\n2,25;b\n", ",", " ", [1234.5, 2.25]),
        ("v;w\n491 234 567;a\n492 234 567;b\n", ".", None, ["491 234 567", "492 234 567"]),
        ("v,w\n1.234,a\n2.345,b\n", ".", None, [1.234, 2.345]),
    ],
)
def test_the_marks_of_numbers_are_proved_by_the_file(read, text, decimal, thousands, values):
    found = read(text)
    assert (written(found).decimal, written(found).thousands) == (decimal, thousands)
    assert found.table.column("v").to_pylist() == values


def test_one_column_proves_the_mark_for_another(read):
    found = read("v;w\n1.234;1,5\n2.345;2,5\n")
    assert found.table.to_pylist() == [{"v": 1234, "w": 1.5}, {"v": 2345, "w": 2.5}]


def test_numbers_that_the_asked_mark_does_not_fit_are_told(read):
    found = read("v;w\n1.234,5;a\n2.500,25;b\n", csv={"decimal": "."})
    assert found.table.column("v").to_pylist() == ["1.234,5", "2.500,25"]
    assert any("the numbers of 'v' have the decimal mark ," in note for note in found.notes)
    assert not any("stay text" in note for note in read("v;w\n1,5;a\n").notes)


def test_the_recipe_overrules(read):
    text = "a;b;c\n1.234;x;01/02/2025\n2.345;n.v.;03/04/2025\n"
    csv = {"decimal": ".", "nulls": ["n.v."], "date_format": "%d/%m/%Y", "delimiter": ";"}
    found = read(text, csv=csv)
    assert found.table.column("a").to_pylist() == [1.234, 2.345]
    assert found.table.column("b").to_pylist() == ["x", None]
    assert [str(day) for day in found.table.column("c").to_pylist()] == ["2025-02-01", "2025-04-03"]
    assert (
        read("a,b\n1,\xfc\n".encode("cp1250"), csv={"encoding": "cp1250"})
        .notes[0]
        .endswith("encoding cp1250")
    )


def test_files_of_a_folder_are_put_below_each_other_by_name(read):
    found = read({"a.csv": b"x,y\n1,2\n", "b.csv": b"y;x\r\n4;3\r\n", "c.csv": b"x,y\n5,6.5\n"})
    assert found.table.to_pylist() == [{"x": 1, "y": 2}, {"x": 3, "y": 4}, {"x": 5, "y": 6.5}]


def test_a_dialect_survives_json_and_keeps_the_order_of_columns():
    dialect = Dialect(
        delimiter=";",
        decimal=",",
        styles={
            "z": Style(null="?", nulls=("?",), booleans=("ja", "nein")),
            "a": Style(format="%Y"),
        },
    )
    again = Dialect.from_json(dialect.to_json())
    assert again == dialect
    assert list(again.styles) == ["z", "a"]
    with pytest.raises(ValueError, match="no ganmill-csv/1 dialect"):
        Dialect.from_json(b'{"schema": "other"}')


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("%d.%m.%Y", "day.month.year"),
        ("%-m/%-d/%Y %-I:%M %p", "month/day/year hour:minute am/pm"),
        ("%Y-%m-%dT%H:%M:%S%:z", "year-month-day hour:minute:second zone"),
        ("%Y%m%d", "'%Y%m%d'"),
    ],
)
def test_a_format_is_said_in_words(form, words):
    assert in_words(form) == words
