"""Images that somebody brings, as images of a known source: its size, channels and classes.

| they have | becomes |
|---|---|
| grey where the known images have colour, colour that is grey everywhere | the known channels |
| an alpha that the known images have not | laid on white |
| classes as folders, a column or a label file; as numbers, text or names | the known classes |
| another size | what `source.resize` makes of it, else refused |

Shape legend: N images, H height, W width, C channels.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import SourceError
from storage.records.schema import read_class_names
from storage.sources.builder import PrepareJob
from storage.sources.checks import first_few, listed
from storage.sources.config import SourceConfig
from storage.sources.given import GivenRecords, GivenRequest, said_of_data
from storage.sources.images.classes import merged
from storage.sources.images.decode import ImageSizeError
from storage.sources.images.notes import notes_on
from storage.sources.images.pixels import with_channels
from storage.sources.images.source import ImageSource
from storage.sources.images.staged import StagedImages, map_images, write_all
from storage.sources.images.staging import staged_images
from storage.sources.open import READ_BY_SOME, open_source

IMAGE: Final = "image"
LABEL: Final = "label"
"""How others call a label, where they do not call it as the recipe does."""


def read_given_images(request: GivenRequest) -> GivenRecords:
    """Return the images in the form of the known ones, mapped from `request.folder`.

    Raises:
        SourceError: there are none, they are of another size or colour, or of unknown classes.
        SettingsError, LakeError: as `open_source`.
    """
    label, shape = request.config.label, tuple(request.known.schema.field(IMAGE).type.shape)
    with said_of_data():
        source, config = _open(request)
    job = PrepareJob(
        config=config,
        sources=(source,),
        min_group=request.min_group,
        progress=request.progress,
    )
    try:
        with said_of_data(), staged_images(job, request.folder) as (staged, reading):
            _check_size(request, staged.shape, shape)
            path = request.folder / "given.u8"
            _write(request, staged, path, shape[2])
            columns = {IMAGE: map_images(path, (staged.rows, *shape))}
            notes = notes_on(job, staged, reading)
            if label is not None and config.label is not None:
                columns[label], more = _known_classes(request, staged.column(config.label))
                notes += more
        source.verify_unchanged()
    except SourceError as error:
        if not _is_of_size(error):
            raise
        msg = f"{str(error).partition(';')[0]}; {_remedy(shape)}."
        raise SourceError(msg) from error
    if label != config.label:
        notes.append(f"the column {config.label!r} is taken for {label!r}")
    return GivenRecords(records=pa.table(columns), digest=source.digest, notes=tuple(notes))


def _open(request: GivenRequest) -> tuple[ImageSource, SourceConfig]:
    """Open the data with those settings of the recipe that fit what they lie in.

    Raises:
        SourceError: there are no images, or no classes where the recipe has a label.
    """
    bare = request.plain_config(
        label=None,
        label_from=None,
        label_nulls="drop",
        **{name: SourceConfig.model_fields[name].default for name in READ_BY_SOME},
    )
    source = open_source(bare, request.profile)
    if not isinstance(source, ImageSource):
        raise TypeError(source.modality)
    read = READ_BY_SOME & source.reads_settings - {"max_rows"}
    used = {name: getattr(request.config, name) for name in read}
    if "bits" in used:
        used["bits"] = used["bits"] or request.reading.get("bits")
    errors = []
    for settings in _ways(request.config, used):
        try:
            found = open_source(bare.model_copy(update=settings), request.profile)
        except SourceError as error:
            errors.append(error)
        else:
            if isinstance(found, ImageSource):
                return found, bare.model_copy(update=settings)
    if request.config.label is None:
        raise errors[-1]
    shown = first_few(list(map(repr, source.description.columns))) or "no column"
    msg = (
        f"The data set {request.uri!r} does not say which image is of which {request.config.label} "
        f"(it has {shown}, and no folder for each class); label it like the source, or judge both "
        "without labels with --set source.label=null."
    )
    raise SourceError(msg) from errors[0]


def _ways(config: SourceConfig, used: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield settings to read the data with, those nearest to the recipe's first."""
    images = [used] if used.get("image") is None else [used, {**used, "image": None}]
    for settings in images:
        for name in dict.fromkeys((config.label, LABEL if config.label else None)):
            yield {**settings, "label": name, "label_from": config.label_from}
            yield {**settings, "label": name, "labels": None}


def _check_size(
    request: GivenRequest, found: tuple[int, int, int], known: tuple[int, int, int]
) -> None:
    if found[:2] != known[:2]:
        msg = (
            f"The images of the data set {request.uri!r} have {found[0]}x{found[1]} pixels and "
            f"those of the source {known[0]}x{known[1]}; {_remedy(known)}."
        )
        raise SourceError(msg)


def _is_of_size(error: BaseException | None) -> bool:
    """Say whether images of several sizes, or of one that is not read, are behind an error."""
    while error is not None and not isinstance(error, ImageSizeError):
        error = error.__cause__
    return error is not None


def _remedy(known: tuple[int, int, int]) -> str:
    size = f"{known[0]}x{known[1]}"
    return f"bring them to {size}, or let it be done with --set source.resize={size}"


def _write(request: GivenRequest, staged: StagedImages, path: Path, channels: int) -> None:
    """Write every image with the known channels.

    Raises:
        SourceError: they have colour and the known ones have none.
    """
    with path.open("xb", buffering=0) as file:
        for _, block in staged.blocks():
            images_NHWC = with_channels(block, channels)
            if images_NHWC is None:
                msg = (
                    f"The data set {request.uri!r} has images in colour, and those of the source "
                    f"{request.config.uri!r} are grey; convert them to grey."
                )
                raise SourceError(msg)
            write_all(file, images_NHWC)


def _known_classes(request: GivenRequest, labels: pa.Array) -> tuple[pa.Array, list[str]]:
    """Return the labels as the known ones are written: by value, by their text, or by their name.

    Raises:
        SourceError: a class is none of the known ones.
    """
    name = str(request.config.label)
    kind, known = request.known.schema.field(name).type, pc.unique(request.known[name]).to_pylist()
    class_names = read_class_names(request.known.schema).get(name, ())
    labels, notes = merged(labels)
    of = {title: place for place, title in enumerate(class_names) if place in known}
    of |= {_text(value): value for value in known}
    exact = {(type(value), value) for value in known}
    coded = labels.dictionary_encode()
    found = coded.dictionary.to_pylist()
    values = [one if (type(one), one) in exact else of.get(_text(one)) for one in found]
    unknown = [one for one, value in zip(found, values, strict=True) if value is None]
    if unknown:
        msg = (
            f"The data set {request.uri!r} has the classes {listed(sorted(unknown, key=str))}, "
            f"which the source {request.config.uri!r} does not have "
            f"({first_few([repr(value) for value in sorted(known)])}); name them like the source's."
        )
        raise SourceError(msg)
    if labels.type != kind:
        notes.append(f"labels are {labels.type} and are read as the source's, {kind}")
    return pa.array(values, kind).take(coded.indices), notes


def _text(value: object) -> str:
    """Return how a class is written: 3, 3.0 and "03" alike, true and "True" alike."""
    text = str(value).strip()
    number = text.removesuffix(".0") if isinstance(value, float) else text
    if number.isascii() and number.isdigit():
        return str(int(number))
    return text.lower() if text.lower() in ("true", "false") else text
