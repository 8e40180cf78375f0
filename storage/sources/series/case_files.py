"""Files of whole series: `.ts` of the time series archives, and arrays of NumPy.

`.ts` (Bagnall et al., "The UEA multivariate time series classification archive", 2018): lines of
`@` say what follows; then a line per series, its dimensions between colons, the class last. Arrays
are of N series by T steps, one of a variable each; those of N values are static.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

LABEL: Final = "label"
"""What the class of `.ts` files is called."""
_PLAIN: Final = "buifUSM"
"""Kinds of NumPy's types that are read: truth, numbers, text, moments."""


def read_ts(data: bytes) -> pa.Table:
    """Return a row per series: a list for every dimension, and the class.

    Raises:
        ValueError: it is none, or its values have moments of their own.
    """
    text = data.decode("utf-8-sig")
    head, found, body = text.partition("@data") if "@data" in text else text.partition("@DATA")
    if not found:
        msg = "no line says @data"
        raise ValueError(msg)
    said = _said(head)
    if said.get("timestamps", ["false"])[0] == "true":
        msg = (
            "its values have moments of their own; write long rows with aeon's or sktime's "
            "load_from_ts_file and pandas"
        )
        raise ValueError(msg)
    labelled = any(said.get(key, ["false"])[0] == "true" for key in ("classlabel", "targetlabel"))
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    cases = [line.split(":") for line in lines if not line.startswith(("#", "%"))]
    width = len(cases[0]) if cases else 0
    uneven = next((number for number, case in enumerate(cases) if len(case) != width), None)
    if width < 1 + labelled or uneven is not None:
        msg = f"series {uneven or 0} has not as many parts as the first"
        raise ValueError(msg)
    names = [f"dim_{number}" for number in range(width - labelled)]
    columns = {name: _lists([case[at] for case in cases]) for at, name in enumerate(names)}
    if labelled:
        classes = pa.array([case[-1].strip() for case in cases])
        quantity = said.get("targetlabel", ["false"])[0] == "true"
        columns = {LABEL: classes.cast(pa.float64()) if quantity else classes, **columns}
    return pa.table(columns)


def _said(head: str) -> dict[str, list[str]]:
    lines = [
        line.strip().lower()[1:].split() for line in head.splitlines() if line.strip()[:1] == "@"
    ]
    return {words[0]: words[1:] or ["true"] for words in lines if words}


def _lists(texts: Sequence[str]) -> pa.Array:
    """Return the values of every series, whole numbers where all are."""
    parts = [text.split(",") for text in texts]
    values = pa.array([word.strip() for part in parts for word in part])
    missing = pc.is_in(values, value_set=pa.array(["?", "NaN", "nan", ""]))
    numbers = pc.if_else(missing, pa.scalar(None, pa.string()), values)
    try:
        numbers = numbers.cast(pa.int64())
    except pa.ArrowInvalid:
        numbers = numbers.cast(pa.float64())
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), numbers)


def read_arrays(data: bytes) -> pa.Table:
    """Return a row per series: a list for every array of N x T, a value for every one of N.

    Raises:
        ValueError: an array is a pickle or of another shape.
    """
    try:
        loaded: Any = np.load(io.BytesIO(data), allow_pickle=False)
        arrays = {"value": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(str(error)) from error
    _check_arrays(arrays)
    columns = {}
    for name, array in arrays.items():
        plain = array.astype(str) if array.dtype.kind in "US" else array
        values = pa.array(plain.reshape(-1))
        if array.ndim == 2:
            steps = np.arange(len(array) + 1) * array.shape[1]
            values = pa.ListArray.from_arrays(pa.array(steps.astype(np.int32)), values)
        columns[name] = values
    return pa.table(columns)


def _check_arrays(arrays: Mapping[str, NDArray[Any]]) -> None:
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
    deep = next((name for name, array in arrays.items() if array.ndim > 2), None)
    if deep is not None:
        axes = arrays[deep].ndim
        msg = (
            f"the array {deep!r} has {axes} axes, and which are steps and which variables nobody "
            "can see; store an array of N x T per variable: numpy.savez('series.npz', "
            f"**{{f'v{{i}}': {deep}[:, :, i] for i in range({deep}.shape[2])}})"
        )
        raise ValueError(msg)
    counts = {len(array) if array.ndim else 0 for array in arrays.values()}
    fit = all(array.dtype.kind in _PLAIN for array in arrays.values())
    if len(counts) != 1 or not fit or not any(array.ndim == 2 for array in arrays.values()):
        msg = f"it holds {shapes or 'nothing'}, not arrays of one number of series by steps"
        raise ValueError(msg)
