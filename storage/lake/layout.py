"""Where everything lies in a lake: pure functions from names to keys.

index.html and index.json
datasets/<name>/README.md
datasets/<name>/<version>/train-00000-of-00016.parquet
datasets/<name>/_meta/<version>/manifest.json …
datasets/<name>/_meta/<version>/files-00000.json
datasets/<name>/_versions/00000042.json
datasets/<name>/_latest.json
datasets/<name>/_log.json
generators/<name>/<version>/{generator.safetensors, snapshot.json, reports/, internal/}
generators/<name>/_promotions/00000007.json
generators/<name>/_announced/00000007.json
generators/<name>/_owner.json
runs/<key>/{plan.json, checkpoint/<samples_seen>/…, stats.jsonl}
runs/<key>/codec.json
runs/<key>/{study.json, trials/00000003.json, reports/<digest>/report.html}
privacy/ledger/00000007.json
"""

import re
from datetime import UTC, datetime

from storage.errors import SettingsError

LONGEST_NAME = 64
"""Characters of a generator or data set name."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_DIGEST = re.compile(r"[0-9a-f]{8,}")
_NUMBERED = re.compile(r"(\d{8})\.json")


def check_name(name: str) -> str:
    """Return `name` unchanged when it can name a data set or a generator.

    Raises:
        SettingsError: it has other characters than a-z, 0-9 and '-', or is too long.
    """
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        msg = (
            f"The name {name!r} cannot be used; use 1 to {LONGEST_NAME} of the characters a-z, 0-9 "
            "and '-', not starting with '-'."
        )
        raise SettingsError(msg)
    return name


def is_version(text: str) -> bool:
    """Say whether `text` has the form of a version."""
    return _VERSION.fullmatch(text) is not None


def check_version(version: str) -> str:
    """Return `version` unchanged when it has the form of a version.

    Raises:
        SettingsError: it has not.
    """
    if not is_version(version):
        msg = (
            f"{version!r} is not a version; versions look like 20260131T020000Z-0123abcd, "
            "see `ganmill datasets list`."
        )
        raise SettingsError(msg)
    return version


def make_version(created: datetime, key: str) -> str:
    """Return the version of a plan: its time of creation (UTC, seconds) and 8 digits of its key.

    Raises:
        ValueError: the time has no zone or the key is no digest.
    """
    if created.tzinfo is None or not _DIGEST.fullmatch(key):
        msg = f"A version needs a time with a zone and a digest, not {created!r} and {key!r}."
        raise ValueError(msg)
    return f"{created.astimezone(UTC):%Y%m%dT%H%M%SZ}-{key[:8]}"


def version_time(version: str) -> datetime:
    """Return when a version was planned, UTC, as its name says."""
    stamp = check_version(version).partition("-")[0]
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def numbered_key(folder: str, number: int) -> str:
    """Return the key of record `number` (from 1) of the log in `folder`."""
    return f"{folder}/{number:08d}.json"


def record_number(key: str) -> int | None:
    """Return the number of the log record under `key`, or None when it is no record."""
    match = _NUMBERED.fullmatch(key.rpartition("/")[2])
    return int(match[1]) if match else None


def lake_index_key(suffix: str) -> str:
    """Return the key of the page of the lake, `html`, or of its lines, `json`; it may lag."""
    return f"index.{suffix}"


# Data sets


def dataset_folder(name: str) -> str:
    """Return the folder of a data set."""
    return f"datasets/{check_name(name)}"


def dataset_readme_key(name: str) -> str:
    """Return the key of the page beside the versions that says how to read one of them."""
    return f"{dataset_folder(name)}/README.md"


def version_folder(name: str, version: str) -> str:
    """Return the folder that holds the shards of one version and nothing else."""
    return f"{dataset_folder(name)}/{check_version(version)}"


def shard_key(name: str, version: str, index: int, count: int, extension: str) -> str:
    """Return the key of shard `index` (from 0) of `count`; the extension is without a dot.

    Numbers have as many digits as the largest, and five at least: keys sort as shards do.
    """
    digits = max(5, len(str(count)))
    file = f"train-{index:0{digits}d}-of-{count:0{digits}d}.{extension}"
    return f"{version_folder(name, version)}/{file}"


def meta_key(name: str, version: str, file: str) -> str:
    """Return the key of one describing file, such as `report.json`."""
    return f"{dataset_folder(name)}/_meta/{check_version(version)}/{file}"


def manifest_key(name: str, version: str) -> str:
    """Return the key of the manifest of a version."""
    return meta_key(name, version, "manifest.json")


def files_key(name: str, version: str, part: int) -> str:
    """Return the key of part `part` (from 0) of the list of a version's shards."""
    return meta_key(name, version, f"files-{part:05d}.json")


def announced_key(name: str, version: str) -> str:
    """Return the key whose existence says that the events of a version were emitted."""
    return meta_key(name, version, "announced.json")


def commits_folder(name: str) -> str:
    """Return the folder of the log of a data set's versions."""
    return f"{dataset_folder(name)}/_versions"


def latest_key(name: str) -> str:
    """Return the key of the hint that names the newest version; it may lag."""
    return f"{dataset_folder(name)}/_latest.json"


def log_seen_key(name: str) -> str:
    """Return the key of what says how long the log of versions was when it was last looked at."""
    return f"{dataset_folder(name)}/_log.json"


# Generators


def generator_folder(name: str) -> str:
    """Return the folder of a generator."""
    return f"generators/{check_name(name)}"


def generator_key(name: str, version: str, file: str) -> str:
    """Return the key of one file of a candidate, such as `codec.json` or `reports/x.json`."""
    return f"{generator_folder(name)}/{check_version(version)}/{file}"


def snapshot_key(name: str, version: str) -> str:
    """Return the key of the list of a candidate's files; its existence makes the candidate."""
    return generator_key(name, version, "snapshot.json")


def damaged_key(name: str, version: str) -> str:
    """Return the key whose existence says that the files of a candidate are not to be used."""
    return generator_key(name, version, "_damaged.json")


def generator_report_key(name: str, version: str, report_digest: str, file: str) -> str:
    """Return the key of a file of the report with this digest on a candidate."""
    return generator_key(name, version, f"reports/{report_digest[:16]}/{file}")


def generator_internal_key(name: str, version: str, file: str) -> str:
    """Return the key of what may hold real records and has its own read policy."""
    return generator_key(name, version, f"internal/{file}")


def owner_key(name: str) -> str:
    """Return the key of the record of who owns this name, as generator and as data set."""
    return f"{generator_folder(name)}/_owner.json"


def promotions_folder(name: str) -> str:
    """Return the folder of the log of a generator's promotions."""
    return f"{generator_folder(name)}/_promotions"


def promotions_announced_folder(name: str) -> str:
    """Return the folder that says which promotion records were announced.

    It lies beside the log, as every numbered object inside the log's folder is a record.
    """
    return f"{generator_folder(name)}/_announced"


def promotion_announced_key(name: str, number: int) -> str:
    """Return the key whose existence says that the event of promotion `number` was emitted."""
    return numbered_key(promotions_announced_folder(name), number)


# Runs


def run_folder(key: str) -> str:
    """Return the folder of a run; `key` is a train key or a run key.

    Raises:
        ValueError: the key is no digest.
    """
    if not _DIGEST.fullmatch(key):
        msg = f"A run is named by a hexadecimal digest, not by {key!r}."
        raise ValueError(msg)
    return f"runs/{key}"


def plan_key(key: str, attempt: int = 1) -> str:
    """Return the key of the plan of a run; attempts after an abandoned one count from 2."""
    return f"{run_folder(key)}/plan{'' if attempt == 1 else f'-{attempt}'}.json"


def stats_key(key: str) -> str:
    """Return the key of the training curves of a run."""
    return f"{run_folder(key)}/stats.jsonl"


def checkpoint_prefix(key: str) -> str:
    """Return the folder of all checkpoints of a run."""
    return f"{run_folder(key)}/checkpoint"


def checkpoint_folder(key: str, samples_seen: int) -> str:
    """Return the folder of the checkpoint at `samples_seen`."""
    return f"{checkpoint_prefix(key)}/{samples_seen:012d}"


def codec_key(key: str) -> str:
    """Return the key of the codec of a private training: fitted with noise, and so once."""
    return f"{run_folder(key)}/codec.json"


def study_key(key: str) -> str:
    """Return the key of what a study of tuning tries; `key` is its digest."""
    return f"{run_folder(key)}/study.json"


def trials_folder(key: str) -> str:
    """Return the folder of the finished trials of a study."""
    return f"{run_folder(key)}/trials"


def study_report_key(key: str, report_digest: str) -> str:
    """Return the key of the report on a study whose page has this digest."""
    return f"{run_folder(key)}/reports/{report_digest[:16]}/report.html"


# Privacy


def ledger_folder() -> str:
    """Return the folder of the log of what private trainings have spent."""
    return "privacy/ledger"
