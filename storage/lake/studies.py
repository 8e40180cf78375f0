"""What tuning leaves in a lake: a study, agreed by its key, and every finished trial.

    runs/<study key>/study.json                      what is tried, on what, for how long a trial
    runs/<study key>/trials/00000003.json            a finished trial, by its number
    runs/<study key>/reports/<digest>/report.html    what the trials found, as a page

Everything is put once. A trial that is under way has no object: killed, it is made again. Of two
processes that made the same trial the first one's stands, and the other takes it over. What a trial
says beside its number is tuning's own business.
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from storage.digests import canonical_json, sha256_hex
from storage.errors import IntegrityError
from storage.lake.layout import (
    numbered_key,
    record_number,
    study_key,
    study_report_key,
    trials_folder,
)
from storage.stores.interface import ObjectStore, read_checked

STUDY_FORMAT: Final = "ganmill-study/1"
TRIAL_FORMAT: Final = "ganmill-trial/1"


def agree_study(lake: ObjectStore, key: str, study: Mapping[str, Any]) -> None:
    """Store what a study is; nothing happens when it is there, as its key is a digest of it."""
    lake.put_once(study_key(key), canonical_json({"format": STUDY_FORMAT, **study}))


def put_trial(
    lake: ObjectStore, key: str, number: int, trial: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Store a finished trial, and return the one that stands: ours, or another process's.

    Raises:
        IntegrityError: the stored one cannot be read.
    """
    mine = canonical_json({"format": TRIAL_FORMAT, **trial})
    place = numbered_key(trials_folder(key), number)
    return _trial(lake, place, lake.put_or_adopt(place, mine))


def read_trials(
    lake: ObjectStore, key: str, known: Mapping[int, Mapping[str, Any]] | None = None
) -> dict[int, Mapping[str, Any]]:
    """Return every finished trial of a study by its number.

    Args:
        lake: that holds them.
        key: of the study.
        known: trials that were read before; they are not read again.

    Raises:
        IntegrityError: one cannot be read.
    """
    found: dict[int, Mapping[str, Any]] = {}
    for info in lake.list(f"{trials_folder(key)}/"):
        number = record_number(info.key)
        if number is None:
            continue
        check = partial(_trial, lake, info.key)
        found[number] = (known or {}).get(number) or read_checked(lake, info.key, check)
    return found


def put_study_report(lake: ObjectStore, key: str, page: bytes) -> str:
    """Store the page on a study and return its key."""
    place = study_report_key(key, sha256_hex(page))
    lake.put_once(place, page)
    return place


def _trial(lake: ObjectStore, place: str, data: bytes) -> Mapping[str, Any]:
    """Return the values of a stored trial.

    Raises:
        IntegrityError: these bytes are no trial, or that of another number.
    """
    try:
        raw: dict[str, Any] = json.loads(data)
        if raw.pop("format") != TRIAL_FORMAT or raw["number"] != record_number(place):
            raise ValueError(data[:40])  # noqa: TRY301 - one sentence for every defect
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{lake.uri}/{place} is no {TRIAL_FORMAT} of its number ({error!r}); delete it"
        raise IntegrityError(msg) from error
    return raw
