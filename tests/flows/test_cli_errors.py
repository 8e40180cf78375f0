"""Bad input: one sentence, the right exit code, nothing written into the lake."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from flows.cli.app import execute
from storage.errors import LakeFullError
from storage.stores.local import LocalStore


def png(side: int = 8, value: int = 0) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(value).integers(0, 255, (side, side), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def folder_of(root: Path, counts: dict[str, int], start: int = 0) -> Path:
    """Write an image folder with so many images per class."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            start += 1
            (root / name / f"{index:04d}.png").write_bytes(png(value=start))
    return root


def fine(root: Path) -> Path:
    return folder_of(root, {"a": 60, "b": 60})


def empty(root: Path) -> Path:
    root.mkdir()
    return root


def truncated(root: Path) -> Path:
    fine(root)
    for index in range(5):
        (root / "a" / f"{index:04d}.png").write_bytes(png()[:40])
    return root


def two_sizes(root: Path) -> Path:
    fine(root)
    (root / "a" / "0003.png").write_bytes(png(side=16))
    return root


def small_class(root: Path) -> Path:
    return folder_of(root, {"a": 120, "b": 5})


def few(root: Path) -> Path:
    return folder_of(root, {"a": 30, "b": 30})


def unlabelled(root: Path) -> Path:
    root.mkdir()
    images = [png(value=index) for index in range(120)]
    pq.write_table(pa.table({"image": images, "colour": ["red"] * 120}), root / "data.parquet")
    return root / "data.parquet"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("GANMILL_LAKE", "GANMILL_WORK_FOLDER", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def recipe(place: Path, **parts) -> str:
    raw = {"name": "mine", "source": {"uri": "example:digits"}} | parts
    (place / "recipe.yaml").write_text(yaml.safe_dump(raw))
    return "recipe.yaml"


def refused(capsys, code: int, *arguments: str) -> str:
    """Run a command that must fail, and return its one sentence."""
    assert execute(arguments) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    sentences = [line for line in shown.err.splitlines() if line.startswith("error: ")]
    assert len(sentences) == 1, shown.err
    assert not Path("lake").exists(), "something was written"
    return sentences[0]


@pytest.mark.parametrize("command", ["check", "run", "train", "evaluate", "synthesize"])
def test_every_command_refuses_an_unknown_key(place, capsys, command):
    path = recipe(place, synthesis={"sampels": 5})
    text = refused(capsys, 2, command, path)
    assert "did you mean `synthesis.samples`?" in text


def test_a_value_out_of_range(place, capsys):
    text = refused(capsys, 2, "run", recipe(place), "--set", "training.budget_samples=-4")
    assert "`training.budget_samples` is -4, but must be greater than or equal to 1" in text


def test_a_recipe_that_is_not_there(place, capsys):
    assert "none.yaml cannot be read" in refused(capsys, 2, "run", "none.yaml")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (empty, ["data"]),
        (truncated, ["a/0000.png"]),
        (two_sizes, ["a/0003.png", "source.resize"]),
        (small_class, ["'b'", "5"]),
        (few, ["100", "60"]),
        (unlabelled, ["label", "colour"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_an_unfit_source(place, capsys, command, make, words):
    uri = make(place / "data")
    path = recipe(place, source={"uri": str(uri.relative_to(place))})
    text = refused(capsys, 4, command, path)
    assert [word for word in words if word not in text] == []


def test_a_missing_source(place, capsys):
    text = refused(capsys, 4, "run", recipe(place, source={"uri": "nowhere/*.png"}))
    assert "nowhere" in text
    assert "example:wine" in refused(capsys, 4, "init", "example:wine")


@pytest.mark.parametrize("uri", ["gs://bucket/lake", "hdfs://x/y"])
def test_a_lake_of_an_unknown_scheme(place, capsys, uri):
    text = refused(capsys, 2, "run", recipe(place, output={"lake": uri}))
    assert "which is not served; use a folder" in text
    assert "not served" in refused(capsys, 2, "datasets", "list", "--lake", uri)


def test_a_storage_profile_that_does_not_exist(place, capsys):
    path = recipe(place, output={"lake": "s3://bucket/lake", "storage": "minio"})
    text = refused(capsys, 2, "run", path)
    assert "GANMILL_STORAGE__MINIO__ENDPOINT_URL" in text


def test_a_lake_that_cannot_be_written(place, capsys):
    (place / "occupied").write_text("a file")
    text = refused(capsys, 5, "train", recipe(place, output={"lake": "occupied/lake"}))
    assert "occupied" in text


def test_a_lake_whose_disk_is_full(place, capsys, monkeypatch):
    def full(self, key, data):
        msg = f"no space left for {key}; free some"
        raise LakeFullError(msg)

    monkeypatch.setattr(LocalStore, "put_once", full)
    assert "no space left for runs/" in refused(capsys, 5, "train", recipe(place))


def test_a_bucket_that_does_not_exist(place, capsys, s3_server, monkeypatch):
    profile = s3_server.profile
    monkeypatch.setenv("GANMILL_STORAGE__TEST__ENDPOINT_URL", profile.endpoint_url)
    monkeypatch.setenv("GANMILL_STORAGE__TEST__KEY", profile.key)
    monkeypatch.setenv("GANMILL_STORAGE__TEST__SECRET", profile.secret.get_secret_value())
    path = recipe(place, output={"lake": "s3://no-such-bucket-here/lake", "storage": "test"})
    text = refused(capsys, 5, "train", path)
    assert "no-such-bucket-here" in text
    assert profile.secret.get_secret_value() not in text


def test_a_balance_that_cannot_be_planned(place, capsys):
    fractions = {"balance": "fractions", "class_fractions": [{"label": 77, "fraction": 1}]}
    text = refused(capsys, 2, "check", recipe(place, synthesis=fractions))
    assert "77" in text


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(
    ("bound", "says"),
    [
        ({"metric": "c2st", "pass": 0.6}, "choose from coverage, density_low, density_high, fd, l"),
        ({"metric": "coverage", "pass": 0.3}, "coverage with pass 0.3 and block 0.5: what passes"),
    ],
    ids=["unknown", "wrong-side"],
)
def test_a_bound_that_does_not_fit_the_data_is_refused_before_training(
    place, capsys, monkeypatch, command, bound, says
):
    monkeypatch.setattr("gan.images.codec.ImageCodec.fit", None)
    text = refused(capsys, 2, command, recipe(place, gate={"bounds": [bound]}))
    assert says in text


def test_evaluate_and_synthesize_need_a_generator(place, capsys):
    path = recipe(place)
    assert "train it first" in refused(capsys, 2, "evaluate", path)
    assert "run the whole job first" in refused(capsys, 3, "synthesize", path)


def test_wrong_arguments(place, capsys):
    assert execute(["rum"]) == 2
    assert execute(["run"]) == 2
    assert execute(["run", "a.yaml", "--colour"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_light_install_is_told_what_to_install(place, capsys, monkeypatch):
    import builtins

    real = builtins.__import__

    def light(name, *rest, **more):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(name, name="torch")
        return real(name, *rest, **more)

    import sys

    for name in [name for name in sys.modules if name.startswith(("gan.images", "gan.modal"))]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "gan.protocols", raising=False)
    monkeypatch.setattr(builtins, "__import__", light)
    text = refused(capsys, 2, "presets")
    assert 'pip install "ganmill[jobs]"' in text


def test_what_was_not_foreseen_is_a_sentence_and_a_file(place, capsys, monkeypatch):
    def explode(*given, **named):
        return 1 // 0

    monkeypatch.setattr("flows.cli.check.show_check", explode)
    text = refused(capsys, 1, "check", recipe(place))
    assert "ZeroDivisionError: integer" in text
    assert "in explode" in (place / ".ganmill" / "last-error.txt").read_text()


@pytest.mark.parametrize("command", ["check", "run", "train", "evaluate", "synthesize"])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source.uri": "src", "output.lake": "src/lake"}, "`source.uri` 'src' holds the lake"),
        ({"source.uri": "link/", "output.lake": "./src/lake"}, "'link/' holds the lake"),
        ({"source.uri": "src/lake", "output.lake": "src"}, "'src/lake' lies below the lake 'src'"),
        ({"source.uri": "src", "output.lake": "src"}, "is the lake"),
        ({"source.uri": "s3://b/x", "output.lake": "s3://b/x/lake"}, "'s3://b/x' holds the lake"),
        (
            {"source.split.holdout_uri": "src", "output.lake": "src/lake"},
            "`source.split.holdout_uri` 'src' holds the lake",
        ),
    ],
)
def test_a_source_that_holds_the_lake_is_refused(place, capsys, command, changes, said):
    (place / "src").mkdir()
    (place / "link").symlink_to(place / "src")
    (place / "r.yaml").write_text(yaml.safe_dump({"name": "x", "source": {"uri": "other"}}))
    words = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    assert execute([command, "r.yaml", *words]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.err.count("\n") == 1
    assert not (place / "src/lake").exists()


def test_a_published_folder_is_no_source(place, capsys):
    rows = pa.table({"a": range(200), "label": ["x", "y"] * 100})
    (place / "copy").mkdir()
    marked = rows.replace_schema_metadata({"synthetic": "true"})
    pq.write_table(marked, place / "copy/train-00000-of-00001.parquet")
    (place / "r.yaml").write_text(yaml.safe_dump({"name": "x", "source": {"uri": "copy"}}))
    assert execute(["check", "r.yaml"]) == 4
    assert "holds synthetic data: 'train-00000-of-00001.parquet'" in capsys.readouterr().err
    assert execute(["init", "copy"]) == 4
    assert "source.allow_synthetic" in capsys.readouterr().err


def test_a_table_that_does_not_fit_is_announced_and_refused(place, capsys, monkeypatch):
    pq.write_table(pa.table({"a": [0] * 5000, "b": ["x"] * 5000}), place / "large.parquet")
    (place / "r.yaml").write_text(
        yaml.safe_dump({"name": "x", "source": {"uri": "large.parquet", "label": None}})
    )
    monkeypatch.setattr("storage.sources.memory.available_bytes", lambda: 1 << 16)
    monkeypatch.setattr("storage.sources.tables.parquet_table.ANNOUNCED_BYTES", 1 << 10)
    assert execute(["check", "r.yaml"]) == 4
    first, *_, last = [line for line in capsys.readouterr().err.splitlines() if "5,000" in line]
    assert "holds 5,000 rows of 2 columns in" in first
    assert "and 64.0 KiB are free" in last


def test_init_proposes_a_lake_apart_from_the_source(place, capsys):
    fine(place)
    assert execute(["init", "."]) == 0
    recipe = yaml.safe_load(capsys.readouterr().out)
    assert recipe["output"]["lake"] == "../lake"
    (place / "r.yaml").write_text(yaml.safe_dump(recipe))
    assert execute(["check", "r.yaml"]) == 0
