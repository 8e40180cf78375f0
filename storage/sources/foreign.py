"""Files of kinds that are not read: known by name or first bytes, refused with what converts one.

A pickle can run any code when it is opened, so none is opened here; its first bytes alone are
looked at, for what it probably holds.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from storage.stores.interface import ObjectInfo, ObjectStore

_FEW_FILES: Final = 20
_PICKLES: Final = frozenset({".pkl", ".pickle", ".p", ".joblib", ".pk", ".gz"})
_PROBE_BYTES: Final = 1 << 16
_PROTOCOLS: Final = range(2, 6)
_TABLE: Final = "python -c \"import pandas as pd; pd.read_pickle('{0}').to_parquet('{0}.parquet')\""
_JOBLIB: Final = "python -c \"import joblib; joblib.load('{0}').to_parquet('{0}.parquet')\""
_IMAGES: Final = (
    "python -c \"import pickle, numpy as np; d = pickle.load(open('{0}', 'rb'), "
    "encoding='latin1'); np.savez('{0}.npz', **{{k.decode() if isinstance(k, bytes) else k: "
    'np.asarray(v) for k, v in d.items()}})"'
)
_READ: Final = {
    "read_spss('{0}')": (".sav", ".zsav", ".por"),
    "read_stata('{0}')": (".dta",),
    "read_sas('{0}')": (".sas7bdat", ".xpt"),
    "read_excel('{0}')": (".xls", ".xlsb", ".ods"),
    "read_hdf('{0}')": (".h5", ".hdf", ".hdf5"),
    "read_xml('{0}')": (".xml",),
}
CONVERSIONS: Final[Mapping[str, str]] = {
    **{
        suffix: f"python -c \"import pandas; pandas.{call}.to_parquet('{{0}}.parquet')\""
        for call, suffixes in _READ.items()
        for suffix in suffixes
    },
    ".avro": 'python -c "import fastavro, pandas; '
    "pandas.DataFrame(fastavro.reader(open('{0}', 'rb'))).to_parquet('{0}.parquet')\"",
    ".rds": "Rscript -e \"arrow::write_parquet(readRDS('{0}'), '{0}.parquet')\"",
    **dict.fromkeys(
        (".sqlite", ".sqlite3", ".db"),
        "python -c \"import pandas, sqlite3; pandas.read_sql('select * from TABLE', "
        "sqlite3.connect('{0}')).to_parquet('{0}.parquet')\"",
    ),
}
"""Suffix of a file that is not read → the line that makes a Parquet file of it, {0}.parquet."""


def foreign_file(uri: str, store: ObjectStore, listed: Sequence[ObjectInfo]) -> str | None:
    """Return the refusal of the first file of a kind that something else can convert, if any."""
    for info in listed[:_FEW_FILES]:
        if _is_pickle(store, info):
            return _pickle_refusal(uri, store, info)
        line = CONVERSIONS.get(_suffix(info.key))
        if line is not None:
            return (
                f"The source {uri!r} holds {info.key!r}, of a kind that is not read "
                f"({_suffix(info.key)}); convert it once and name the result in source.uri: "
                f"{line.format(info.key)}"
            )
    return None


def _suffix(key: str) -> str:
    return Path(key.lower()).suffix


def _is_pickle(store: ObjectStore, info: ObjectInfo) -> bool:
    suffixes = Path(info.key.lower()).suffixes
    if suffixes[-1:] == [".gz"]:
        return suffixes[-2:-1] in ([".pkl"], [".pickle"])
    if suffixes:
        return suffixes[-1] in _PICKLES
    start = _start(store, info, 2) if info.size_bytes > 1 else b""
    return start[:1] == b"\x80" and start[1] in _PROTOCOLS


def _start(store: ObjectStore, info: ObjectInfo, size_bytes: int) -> bytes:
    with store.open(info.key) as file:
        return file.read(size_bytes)


def _pickle_refusal(uri: str, store: ObjectStore, info: ObjectInfo) -> str:
    suffix, start = _suffix(info.key), _start(store, info, _PROBE_BYTES)
    line = _JOBLIB if suffix == ".joblib" else _TABLE
    if suffix != ".gz" and b"pandas" not in start and (b"data" in start or b"images" in start):
        line = _IMAGES
    return (
        f"The file {info.key!r} of the source {uri!r} is a Python pickle, which can run any code "
        "when it is read, so it is refused; where you trust it, convert it once: "
        f"{line.format(info.key.rpartition('/')[2])}"
    )
