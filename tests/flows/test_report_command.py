"""`ganmill report` and `compare`, and the page of a lake, on versions committed by hand."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from flows.cli.app import execute
from flows.cli.lake import LakeRef
from flows.cli.report import place_of
from flows.lake_page import LakeIndex, bring_up_lake_page, refresh_lake_page
from flows.report.comparison import compare_reports
from flows.report.nights import nights_figures, read_nights
from gan.report import Ceiling, Metric, Reason, Report
from storage.digests import sha256_hex
from storage.errors import LakeError, NotWritableError
from storage.lake.layout import make_version, manifest_key, meta_key
from storage.lake.log import append_commit
from storage.lake.manifest import Manifest, ManifestFields
from storage.lake.registry import put_report
from storage.stores.open import open_store

T0 = datetime(2026, 1, 1, 3, tzinfo=UTC)
NOTHING = '<p class="empty">Nothing was published yet.</p>'


def coverage(value, spread=0.01, **more):
    return Metric(
        name="coverage",
        scope="all",
        value=value,
        low=value - spread,
        high=value + spread,
        n=100,
        ceiling=Ceiling(value=0.96, low=0.95, high=0.97),
        **more,
    )


def a_report(*metrics, name="shops", verdict="pass"):
    reason = Reason(
        metric="coverage",
        scope="all",
        outcome="pass",
        text="coverage (all) is 0.9",
        aspect="fidelity",
        title="coverage of real rows",
    )
    return Report(
        name=name,
        generator="20260101T020000Z-aaaaaaaa",
        snapshot_digest="d",
        created=T0.isoformat(),
        modality="tables",
        metrics=metrics,
        verdict=verdict,
        reasons=(reason,),
    )


def publish(lake, name, report, at=T0, digit="1"):
    """Commit a version without shards, with its report."""
    version = make_version(at, digit * 64)
    manifest = Manifest(
        name=name,
        version=version,
        created=at.isoformat(),
        run_key=digit * 64,
        generator=f"{name}/x",
        parent_version=None,
        fields=ManifestFields(modality="tables", gate={"verdict": report.verdict}),
        shard_format="parquet",
        schema=pa.schema([]),
        rows=600,
        class_counts=(),
        files=(),
    ).to_json()
    lake.put_once(manifest_key(name, version), manifest)
    lake.put_once(meta_key(name, version, "report.json"), report.to_json())
    lake.put_once(meta_key(name, version, "report.html"), b"<p>page</p>")
    append_commit(lake, name, version, manifest_sha256=sha256_hex(manifest), created=at.isoformat())
    return version


@pytest.fixture
def lake(tmp_path):
    return open_store(str(tmp_path / "lake"))


@pytest.fixture
def run(tmp_path, capsys):
    """Run a command on the lake; return its exit code, standard output and standard error."""

    def command(*words):
        code = execute([*words, "--lake", str(tmp_path / "lake")])
        return code, *capsys.readouterr()

    return command


def test_a_name_is_its_latest_version_and_the_answers_stand_first(lake, run, tmp_path):
    publish(lake, "shops", a_report(coverage(0.5), verdict="block"))
    version = publish(lake, "shops", a_report(coverage(0.9)), T0 + timedelta(days=1), "2")
    code, out, _ = run("report", "shops")
    assert code == 0
    assert out.startswith(f"PASS  shops {version}\n    ✓ May I use it? Yes")
    assert out.rstrip().endswith(f"datasets/shops/_meta/{version}/report.html")
    page = tmp_path / "copy.html"
    code, out, _ = run("report", f"shops/{version}", "--write", str(page), "--json")
    assert json.loads(out)["answers"][0]["answer"] == "Yes"
    assert "coverage of real rows" in page.read_text(encoding="utf-8")


def test_the_page_is_opened_where_it_lies(lake, run, tmp_path, monkeypatch):
    version = publish(lake, "shops", a_report(coverage(0.9)))
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: not opened.append(address))
    assert run("report", "shops", "--open")[0] == 0
    assert opened == [(tmp_path / f"lake/datasets/shops/_meta/{version}/report.html").as_uri()]


@pytest.mark.parametrize(
    "place",
    [
        "datasets/shops",
        "datasets/shops/",
        "datasets/shops/{version}/",
        "datasets/shops/{version}/part-00000-of-00001.parquet",
        "datasets/shops/_meta/{version}",
        "datasets/shops/_meta/{version}/report.html",
    ],
)
def test_a_folder_of_a_version_is_that_version(lake, tmp_path, capsys, monkeypatch, place):
    version = publish(lake, "shops", a_report(coverage(0.9)))
    wanted = place.format(version=version)
    assert execute(["report", f"{tmp_path}/lake/{wanted}"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"PASS  shops {version}")
    assert said.rstrip().endswith(f"lake/datasets/shops/_meta/{version}/report.html")
    monkeypatch.chdir(tmp_path / "lake")
    assert execute(["report", wanted]) == 0
    monkeypatch.chdir(tmp_path)
    assert execute(["compare", f"lake/{wanted}", "shops"]) == 0


def test_a_folder_of_a_generator_is_its_report(lake, tmp_path, capsys):
    version, report = "20260101T020000Z-aaaaaaaa", a_report(coverage(0.9))
    digest = put_report(lake, "shops", version, {"report.json": report.to_json()})
    folder = f"{tmp_path}/lake/generators/shops/{version}/reports/{digest[:16]}"
    assert execute(["report", folder]) == 0
    assert capsys.readouterr().out.startswith(f"PASS  shops {version}")


def test_places_on_object_storage_name_their_lake():
    version = "20260101T020000Z-aaaaaaaa"
    ref = LakeRef(lake="elsewhere", storage="s")
    found = place_of(ref, f"s3://bucket/some/lake/datasets/shops/{version}/")
    assert found == (LakeRef(lake="s3://bucket/some/lake", storage="s"), f"shops/{version}")
    found = place_of(ref, f"s3://bucket/generators/shops/{version}/reports/0123456789abcdef/x")
    assert found[0].uri == "s3://bucket"
    assert found[1] == f"shops/{version}/0123456789abcdef"
    for plain in ("shops", f"datasets/{version}", "some/report.json"):
        assert place_of(ref, plain) == (ref, plain)


def test_nights_are_read_from_the_versions_before(lake):
    first = publish(lake, "shops", a_report(coverage(0.72)))
    second = publish(lake, "shops", a_report(coverage(0.9)), T0 + timedelta(days=1), "2")
    nights = read_nights(lake, "shops")
    assert [night.version for night in nights] == [first, second]
    assert [night.version for night in read_nights(lake, "shops", before=second)] == [first]
    third = replace(a_report(coverage(0.96)), figures=nights_figures(nights))
    publish(lake, "shops", third, T0 + timedelta(days=2), "3")
    assert refresh_lake_page(lake, "shops")
    assert "coverage ÷ ceiling over 2 versions: 0.750 to 0.938" in lake.get("index.html").decode()


@pytest.mark.parametrize(
    ("target", "code", "said"),
    [
        ("none", 5, "has no committed version of 'none'"),
        ("shops/first", 2, "'shops/first' names no report: give NAME, NAME/VERSION"),
        ("missing.json", 2, "cannot be read (No such file or directory); give another path"),
        ("broken.json", 5, "is no report of ganmill"),
    ],
)
def test_what_is_no_report_is_refused_in_a_sentence(lake, run, tmp_path, target, code, said):
    publish(lake, "shops", a_report(coverage(0.9)))
    (tmp_path / "broken.json").write_text("[1]")
    wanted = str(tmp_path / target) if target.endswith(".json") else target
    found, out, error = run("report", wanted)
    assert (found, out) == (code, "")
    assert said in error
    assert error.count("\n") == 1


def test_what_differs_by_more_than_chance_has_a_better_side(lake, run, tmp_path):
    publish(lake, "shops", a_report(coverage(0.9)))
    publish(lake, "rivals", a_report(coverage(0.7), name="rivals"), digit="3")
    page = tmp_path / "both.html"
    code, out, _ = run("compare", "shops", "rivals", "--write", str(page))
    assert code == 0
    assert out.splitlines()[-2].split() == [
        *("coverage", "of", "real", "rows", "all"),
        *("0.900", "(0.890", "to", "0.910)", "0.700", "(0.690", "to", "0.710)", "0.960", "first"),
    ]
    assert "First and second" in page.read_text(encoding="utf-8")
    code, out, _ = run("compare", "shops", "rivals", "--json")
    assert json.loads(out)["metrics"][0]["better"] == "first"


def test_a_comparison_says_what_is_not_alike():
    one = a_report(coverage(0.9), coverage(0.9, direction="target"))
    other = replace(a_report(coverage(0.895)), modality="images", facts={"holdout_rows": 50})
    found = compare_reports(one, other)
    assert {item.better for item in found.metrics} == {"no difference"}
    assert not found.differing
    assert found.notes[0] == "the first speaks of tables, the second of images"
    assert any(note.startswith("holdout rows: ") for note in found.notes)


@pytest.mark.parametrize(
    ("direction", "values", "better"),
    [
        ("lower", (0.9, 0.7), "second"),
        ("target", (0.9, 0.5), "first"),
        ("higher", (0.5, 0.9), "second"),
    ],
)
def test_each_direction_has_its_better_side(direction, values, better):
    one, other = (a_report(coverage(value, direction=direction)) for value in values)
    assert compare_reports(one, other).metrics[0].better == better


def test_the_page_of_a_lake_has_a_card_for_every_data_set(lake):
    first = publish(lake, "shops", a_report(coverage(0.9)))
    assert refresh_lake_page(lake, "shops")
    publish(lake, "rivals", a_report(coverage(0.5), verdict="warn"), digit="3")
    assert refresh_lake_page(lake, "rivals")
    page = lake.get("index.html").decode()
    for text in (f'href="datasets/shops/_meta/{first}/report.html"', "rivals", "Warn", "600 rows"):
        assert text in page
    everything = (lake.get("index.html"), lake.get("index.json"))
    assert refresh_lake_page(lake)
    assert (lake.get("index.html"), lake.get("index.json")) == everything


def test_a_version_that_is_retracted_leaves_the_page(lake, run):
    version = publish(lake, "shops", a_report(coverage(0.9)))
    refresh_lake_page(lake, "shops")
    assert run("datasets", "retract", "shops", version, "--by", "Ada", "--reason", "wrong")[0] == 0
    assert NOTHING in lake.get("index.html").decode()


def test_lines_that_nobody_can_read_are_written_anew(lake):
    publish(lake, "shops", a_report(coverage(0.9)))
    lake.replace("index.json", b"{")
    assert refresh_lake_page(lake, "shops")
    assert list(LakeIndex.from_json(lake.get("index.json")).rows) == ["shops"]


def test_a_lake_that_cannot_be_written_is_no_failure(lake, monkeypatch):
    publish(lake, "shops", a_report(coverage(0.9)))

    def refuse(key, data):
        raise NotWritableError(key)

    monkeypatch.setattr(lake, "replace", refuse)
    assert not refresh_lake_page(lake, "shops")

    def fail(key, data):
        raise LakeError(key)

    monkeypatch.setattr(lake, "replace", fail)
    with pytest.raises(LakeError):
        refresh_lake_page(lake, "shops")
    assert bring_up_lake_page(lake, "shops").startswith("The page of the lake lags until the next")
