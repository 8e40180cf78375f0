"""Addresses under which a browser opens a report.

Of a lake on S3 it is the address that the storage profile names, or a presigned one, which opens
that one page for a while. Reports of a local lake are served by `ganmill up`
(`flows.cockpit.reports`), each lake below a name made from its path, so that a run, a listing and
the server agree without asking each other.
"""

import os
from pathlib import Path
from urllib.parse import quote

import httpx

from storage.digests import sha256_hex
from storage.errors import StorageError
from storage.stores.interface import ObjectStore
from storage.stores.settings import load_settings

ADDRESS = "reports.url"
"""File in the cockpit's folder with the address at which its reports are served."""
HEALTH = "/health"
SERVED = "ganmill reports of"
"""How the server's answer at `HEALTH` begins; the address of the Prefect API follows."""
TIMEOUT_S = 1.0
LONGEST = 200
"""Letters of a link that a sentence holds; a presigned one is longer."""


def report_link(lake: ObjectStore, uri: str, key: str) -> str | None:
    """Return an address that opens a report in a browser; None where nothing serves it.

    Args:
        lake: the store that holds it.
        uri: of the lake, as the recipe or the command says it.
        key: of the page.
    """
    settings = load_settings()
    try:
        found = lake.link(key, settings.report_link_s)
    except StorageError:
        return None  # no credentials to sign with: the report is where it is
    if found is not None or not is_local(uri):
        return found
    base = settings.reports_url or _served_here()
    return None if base is None else f"{base.rstrip('/')}/{lake_name(uri)}/{quote(key)}"


def in_a_line(link: str | None) -> str:
    """Return a link as the end of a sentence; nothing for none, or for one of many letters."""
    return f"; report {link}" if link and len(link) <= LONGEST else ""


def is_local(uri: str) -> bool:
    """Say whether a lake is a folder."""
    return "://" not in uri


def lake_name(uri: str) -> str:
    """Return what a local lake is called in addresses."""
    return sha256_hex(os.path.realpath(Path(uri).expanduser()).encode())[:12]


def address_file() -> Path:
    """Return where `ganmill up` writes the address of the reports."""
    return load_settings().work_folder / "cockpit" / ADDRESS


def write_address(file: Path, base: str) -> None:
    """Write down where reports are served, for the listings of this folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(base, encoding="utf-8")


def who_serves(base: str) -> str:
    """Return what the server of reports at an address says of itself, empty where there is none.

    It names the Prefect API whose recipes' lakes it knows.
    """
    try:
        text = httpx.get(f"{base}{HEALTH}", timeout=TIMEOUT_S, trust_env=False).text
    except (httpx.HTTPError, httpx.InvalidURL):
        return ""
    return text if text.startswith(SERVED) else ""


def _served_here() -> str | None:
    """Return the address at which the cockpit of this folder serves reports, if it runs."""
    try:
        base = address_file().read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return base if base and who_serves(base) else None
