"""Globs over relative paths."""

import pytest

from storage.sources.globs import any_of, compile_glob, is_hidden, literal_prefix, split_glob


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("*.png", "a.png", True),
        ("*.png", "b/a.png", False),
        ("**/*.png", "a.png", True),
        ("**/*.png", "b/c/a.png", True),
        ("b/**", "b/c/a.png", True),
        ("b/**", "bb/a.png", False),
        ("b?/a.png", "bb/a.png", True),
        ("b?a.png", "b/a.png", False),
        ("[ab].png", "a.png", True),
        ("[!ab].png", "a.png", False),
        ("[!ab].png", "/.png", False),
        ("[a-c]x", "bx", True),
        ("a[b", "a[b", True),
        ("a+b(1).png", "a+b(1).png", True),
        ("train-*.parquet", "train-1.parquet", True),
        ("*", "line\nbreak", True),
    ],
)
def test_a_glob_matches(glob: str, path: str, matches: bool) -> None:
    assert (compile_glob(glob).fullmatch(path) is not None) is matches


def test_without_a_slash_the_name_decides() -> None:
    chosen = any_of(["*.png", "./cats/", "/dogs/*.jpg"])
    assert chosen("deep/down/a.png")
    assert chosen("cats/deep/a.gif")
    assert chosen("dogs/a.jpg")
    assert not chosen("dogs/deep/a.jpg")
    assert not any_of([])("a")


@pytest.mark.parametrize(
    ("uri", "folder", "glob"),
    [
        ("data/*.png", "data", "*.png"),
        ("*.png", ".", "*.png"),
        ("/*.png", "/", "*.png"),
        ("s3://b/p/2024-*/x.parquet", "s3://b/p", "2024-*/x.parquet"),
    ],
)
def test_an_uri_is_cut_above_the_first_wildcard(uri: str, folder: str, glob: str) -> None:
    assert split_glob(uri) == (folder, glob)


def test_the_fixed_start_narrows_the_listing() -> None:
    assert literal_prefix("2024-*/x") == "2024-"
    assert literal_prefix("plain") == "plain"


def test_debris_is_hidden() -> None:
    assert is_hidden("a/.git/b.png")
    assert is_hidden("__MACOSX/._a.png")
    assert not is_hidden("a/b.c.png")
