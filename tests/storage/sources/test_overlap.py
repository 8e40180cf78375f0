"""A source that can read what the lake holds is found, however the two are written."""

import pytest

from storage.sources.overlap import find_overlap


@pytest.fixture
def folders(tmp_path, monkeypatch):
    (tmp_path / "src/lake/datasets").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "src")
    (tmp_path / "data.csv").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "lake", "overlap"),
    [
        ("src", "src/lake", "holds"),
        ("./src/", "src/lake/", "holds"),
        ("other/../src", "src/lake", "holds"),
        ("link", "src/lake", "holds"),
        ("src", "link/lake", "holds"),
        (".", "./lake", "holds"),
        ("src", "src", "is"),
        ("link/", "src", "is"),
        ("src/lake/datasets", "src/lake", "lies below"),
        ("src/lake/datasets/*.csv", "src/lake", "lies below"),
        ("src/**/*.png", "src/lake", "holds"),
        ("src/l*/d*/*.png", "src/lake", "holds"),
        ("src/*.csv", "src/lake", None),
        ("src/x*/*.csv", "src/lake", None),
        ("*.csv", "./lake", None),
        ("data.csv", ".", "lies below"),
        ("data.csv", "./lake", None),
        (".", ".hidden/lake", None),
        ("other", "src/lake", None),
        ("src", "src-lake", None),
        ("s3://b/x", "s3://b/x/lake", "holds"),
        ("s3://b//x/", "s3://b/x/lake", "holds"),
        ("s3://b/x/lake/datasets", "s3://b/x/lake/", "lies below"),
        ("s3://b/x", "s3://b/x-lake", None),
        ("s3://b/**/*.png", "s3://b/lake", "holds"),
        ("s3://b/*.png", "s3://b/lake", None),
        ("s3://b/x", "s3://c/x/lake", None),
        ("src", "s3://src/lake", None),
        ("example:digits", ".", None),
    ],
)
def test_places_are_compared_as_they_are(folders, source, lake, overlap):
    assert find_overlap(source, lake) == overlap


def test_a_file_uri_is_a_folder(folders):
    assert find_overlap(f"file://{folders}/src", "src/lake") == "holds"
    assert find_overlap("src", f"file://{folders}/src/lake/") == "holds"


def test_servers_are_told_apart_by_their_endpoint(monkeypatch):
    for name, host in (("A", "one"), ("B", "two"), ("C", "one")):
        monkeypatch.setenv(f"GANMILL_STORAGE__{name}__ENDPOINT_URL", f"https://{host}")
    asked = {"source": "s3://b/x", "lake": "s3://b/x/lake"}
    assert find_overlap(**asked, source_storage="a", lake_storage="b") is None
    assert find_overlap(**asked, source_storage="a", lake_storage="c") == "holds"
    assert find_overlap(**asked, source_storage="a") is None
