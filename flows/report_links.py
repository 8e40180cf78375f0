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
SERVED = "ganmill reports"
"""What the server answers at `HEALTH`."""
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


def is_served(base: str) -> bool:
    """Say whether reports are served at an address."""
    try:
        answer = httpx.get(f"{base}{HEALTH}", timeout=TIMEOUT_S, trust_env=False)
        return answer.text == SERVED
    except httpx.HTTPError:
        return False


def _served_here() -> str | None:
    """Return the address at which the cockpit of this folder serves reports, if it runs."""
    try:
        base = address_file().read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return base if base and is_served(base) else None
