"""`ganmill report` and `compare`: the reports of a lake, shown, opened and held side by side."""

import re
import webbrowser
from dataclasses import dataclass, replace
from pathlib import Path

from flows.by_hand import newest_report
from flows.cli.lake import LakeRef
from flows.cli.output import Output
from flows.errors import DONE, RecipeError
from flows.report.comparison import COLUMNS, compare_reports, render_comparison
from flows.report.lift import lift_view
from flows.report.page import render
from flows.report.summary import answers
from flows.report.verdict import OUTCOMES, verdict_view
from flows.report_links import is_local, report_link
from gan.report import Report
from storage.errors import IntegrityError, ObjectNotFoundError
from storage.lake import datasets
from storage.lake.layout import generator_report_key, is_version, meta_key
from storage.lake.registry import candidates
from storage.stores.interface import ObjectStore

DATA, PAGE = "report.json", "report.html"
_IN_A_LAKE = re.compile(
    r"(.*?/)?(datasets|generators)/(?!\d{8}T)([^/]+)"
    r"(?:/(?:_meta/)?(\d{8}T\d{6}Z-[0-9a-f]{8})(?:/reports/([0-9a-f]+))?(?:/.*)?)?/?$"
)
"""A place below a lake: the lake, what it is of, its name, its version, one of its reports."""


@dataclass(frozen=True, kw_only=True)
class FoundReport:
    """A report, and where its page is."""

    title: str
    report: Report
    key: str | None
    """Of the page in the lake; None where a file was named."""


def show_report(
    target: str, ref: LakeRef, *, write: Path | None, open_it: bool, as_json: bool
) -> int:
    """Write the four answers of a report and where its page is; open or copy the page."""
    output = Output()
    ref, target = place_of(ref, target)
    store = ref.open()
    found = find_report(store, target)
    if as_json:
        output.json(_as_json(found, ref))
    else:
        view = verdict_view(found.report)
        output.line(f"{view.word.upper()}  {found.title}", "bold")
        for one in answers(view, lift_view(found.report.lift)):
            output.line(f"    {OUTCOMES[one.outcome][0]} {one.question} {one.word}")
            output.line(f"      {one.text}")
        if found.key is not None:
            output.line(f"Report    {ref.path(found.key)}")
    page = write
    if page is not None:
        page.write_text(render(found.report, title=found.title), encoding="utf-8")
        if not as_json:
            output.line(f"Written   {page}")
    if open_it:
        _open(_address(store, ref, found, page), output)
    return DONE


def show_comparison(
    first: str, second: str, ref: LakeRef, *, write: Path | None, as_json: bool
) -> int:
    """Write what two reports measured, side by side, and where they differ."""
    output = Output()
    places = [place_of(ref, target) for target in (first, second)]
    sides = [find_report(place.open(), target) for place, target in places]
    found = compare_reports(sides[0].report, sides[1].report)
    names = [side.title for side in sides]
    if as_json:
        metrics = [dict(zip(COLUMNS, one.cells, strict=True)) for one in found.metrics]
        sides_json = {"first": names[0], "second": names[1]}
        output.json({**sides_json, "notes": found.notes, "metrics": metrics})
    else:
        for word, side in zip(("First ", "Second"), sides, strict=True):
            view = verdict_view(side.report)
            output.line(f"{word}  {side.title}: {view.word.upper()}", "bold")
        for note in found.notes:
            output.line(f"    not alike: {note}")
        whole = [one for one in found.metrics if "/" not in one.scope]
        parts = [one for one in found.differing if "/" in one.scope]
        if rows := [one.cells for one in (*whole, *parts)]:
            output.table(COLUMNS, rows)
        else:
            output.line("    nothing was measured of both")
    if write is not None:
        write.write_text(render_comparison(names, found), encoding="utf-8")
        if not as_json:
            output.line(f"Written   {write}")
    return DONE


def place_of(ref: LakeRef, target: str) -> tuple[LakeRef, str]:
    """Return lake and name of what a person names by the URI or path of its folder or a file in it.

    `s3://bucket/lake/datasets/NAME/VERSION/` is `NAME/VERSION` of `s3://bucket/lake`, and so is a
    generator's folder, and whatever lies in either; anything else is as it was.
    """
    found = _IN_A_LAKE.match(target)
    is_file = target.endswith(".json") and is_local(target)
    if found is None or is_file:
        return ref, target
    lake, kind, name, version, report = found.groups()
    wanted = f"{name}/{version}" if version else name
    if kind == "generators" and report:
        wanted = f"{wanted}/{report}"
    return replace(ref, lake=(lake or ".").rstrip("/") or "/"), wanted


def find_report(store: ObjectStore, target: str) -> FoundReport:
    """Return the report that a person names.

    Args:
        store: the lake.
        target: `NAME` (its latest version), `NAME/VERSION` of a data set or of a generator, with
            `/DIGEST` one report of that generator, or the path of a `report.json`.

    Raises:
        RecipeError: there is no such report; the sentence says what there is.
        LakeError: the lake failed.
    """
    if target.endswith(".json"):
        return _read_file(Path(target))
    name, _, version = target.partition("/")
    version, _, digest = version.partition("/")
    if version and not is_version(version):
        msg = (
            f"{target!r} names no report: give NAME, NAME/VERSION as `ganmill datasets list` and "
            "`ganmill generators list` show them, or the path of a report.json"
        )
        raise RecipeError(msg)
    if digest:
        key = generator_report_key(name, version, digest, DATA)
        page = generator_report_key(name, version, digest, PAGE)
        return FoundReport(title=f"{name} {version}", report=_read(store.get(key), key), key=page)
    if version and version in candidates(store, name):
        return _of_generator(store, name, version)
    commit = datasets.find(store, name, version or None)
    key = meta_key(name, commit.version, DATA)
    report = _read(store.get(key), key)
    page = meta_key(name, commit.version, PAGE)
    return FoundReport(title=f"{name} {commit.version}", report=report, key=page)


def _of_generator(store: ObjectStore, name: str, version: str) -> FoundReport:
    found = newest_report(store, name, version)
    if found is None:
        msg = f"the generator {name}/{version} was not evaluated yet: run ganmill evaluate"
        raise RecipeError(msg)
    digest, report = found
    key = generator_report_key(name, version, digest, PAGE)
    return FoundReport(title=f"{name} {version}", report=report, key=key)


def _read_file(path: Path) -> FoundReport:
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"the report {str(path)!r} cannot be read ({error.strerror}); give another path"
        raise RecipeError(msg) from error
    report = _read(data, str(path))
    return FoundReport(title=f"{report.name} {report.generator}".strip(), report=report, key=None)


def _read(data: bytes, where: str) -> Report:
    try:
        return Report.from_json(data)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        msg = f"{where} is no report of ganmill ({error}); evaluate the generator again"
        raise IntegrityError(msg) from error


def _as_json(found: FoundReport, ref: LakeRef) -> dict[str, object]:
    view, report = verdict_view(found.report), found.report
    said = answers(view, lift_view(report.lift))
    return {
        "title": found.title,
        "verdict": report.verdict,
        "answers": [
            {"question": one.question, "answer": one.word, "outcome": one.outcome, "text": one.text}
            for one in said
        ],
        "report": None if found.key is None else ref.path(found.key),
    }


def _address(store: ObjectStore, ref: LakeRef, found: FoundReport, page: Path | None) -> str:
    """Return what a browser opens: the copy, else an address that serves it, else the file."""
    if page is not None:
        return page.resolve().as_uri()
    if found.key is None:
        msg = "the report is a file and has no page in the lake: give --write FILE with --open"
        raise RecipeError(msg)
    if store.stat(found.key) is None:
        msg = f"{store.uri} has no object {found.key}"
        raise ObjectNotFoundError(msg)
    link = report_link(store, ref.uri, found.key)
    if link is None and is_local(ref.uri):
        return (Path(ref.uri).expanduser() / found.key).resolve().as_uri()
    if link is None:
        msg = "nothing serves this lake's reports to a browser: give --write FILE with --open"
        raise RecipeError(msg)
    return link


def _open(address: str, output: Output) -> None:
    """Open a page; without a browser say its address."""
    if not webbrowser.open(address):
        output.line(f"Open      {address}")
