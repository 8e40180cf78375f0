"""Checkpoints: the resumable state of a training, written so that a kill never leaves a broken one.

    <folder>/<samples_seen, 12 digits>/state.safetensors    every tensor, the strip's frames too
    <folder>/<samples_seen, 12 digits>/state.json           progress, digests

A checkpoint is built in a staging folder, forced to the disk and renamed. Those of the last two
ticks are kept, and the newest, which an interruption may have written between ticks. Reading takes
the newest complete one of the same configuration and checks its digest.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from gan.config import ResolvedConfig
from gan.errors import ConfigError
from gan.protocols import Frame
from gan.training import ranks
from gan.training.state import Progress, TrainState
from gan.training.strip import Strip
from storage.records.durable import move_folder, write_file

SCHEMA = "ganmill-checkpoint/2"
TENSORS, INDEX = "state.safetensors", "state.json"
KEPT = 2
"""Checkpoints of ticks."""
STAGING = ".staging-"


def config_digest(config: ResolvedConfig) -> str:
    """Return a digest of everything that decides the weights."""
    return hashlib.sha256(config.model_dump_json().encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """The checkpoints of one training, in one folder."""

    folder: Path
    config: ResolvedConfig
    strip: Strip | None = None
    """Its frames are kept with the state."""

    def start(self, state: TrainState) -> Path:
        """Write the checkpoint before the first step, with the first frame of the strip."""
        if self.strip is not None:
            self.strip.take(state)
        return self.save(state)

    def frames(self) -> tuple[Frame, ...]:
        """Return the frames of the strip that are kept, in order."""
        return () if self.strip is None else self.strip.frames()

    def save(self, state: TrainState) -> Path:
        """Write a checkpoint and return its folder; older ones are deleted.

        Every rank then has its tensors to the last bit.
        """
        ranks.align(state.tensors())
        target = self.folder / f"{state.progress.samples_seen:012d}"
        self._write(state, target)
        return target

    @ranks.by_first
    def _write(self, state: TrainState, target: Path) -> None:
        staging = self.folder / f"{STAGING}{os.getpid()}"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        kept = {} if self.strip is None else self.strip.tensors()
        tensors = {name: one.contiguous() for name, one in (state.tensors() | kept).items()}
        data = save_tensors(tensors)
        index = {
            "schema": SCHEMA,
            "config": config_digest(self.config),
            "tick": state.progress.at_tick,
            "tensors": hashlib.sha256(data).hexdigest(),
            "progress": state.progress.to_json(),
        }
        write_file(staging / TENSORS, data)
        write_file(staging / INDEX, json.dumps(index, indent=1).encode())
        if target.exists():
            shutil.rmtree(target)
        move_folder(staging, target)
        self._forget_old()

    def restore(self, state: TrainState, *, ticks_back: int = 0) -> bool:
        """Bring the state to the newest complete checkpoint; False when there is none.

        Args:
            state: changed in place.
            ticks_back: that of the last tick (1), or of one before, the oldest there is; not what
                an interruption wrote between ticks.

        Raises:
            ConfigError: the folder holds the checkpoints of another configuration.
        """
        found = self._find(ticks_back)
        progress = ranks.agreed(None if found is None else found[1])
        if progress is None:
            return False
        tensors = state.tensors() if found is None else found[0]
        state.restore(tensors, Progress.from_json(progress))
        ranks.align(state.tensors())
        if self.strip is not None:
            self.strip.restore(tensors)
        return True

    @ranks.by_first
    def _find(self, ticks_back: int) -> tuple[Mapping[str, Tensor], Mapping[str, Any]] | None:
        """Return tensors and progress of the newest complete checkpoint, or of one before."""
        found, ticks = None, 0
        for path in self._newest_first():
            index, tensors = _read(path)
            if index is None or tensors is None or (ticks_back and not index["tick"]):
                continue
            if index["config"] != config_digest(self.config):
                msg = (
                    f"{path} belongs to another configuration: give this training another folder, "
                    "or delete that one"
                )
                raise ConfigError(msg)
            found, ticks = (tensors, index["progress"]), ticks + 1
            if ticks >= ticks_back:
                break
        return found

    @ranks.by_first
    def forget_after(self, samples_seen: int) -> None:
        """Delete what was written later: a training that went back will not come by there again."""
        for path in self._newest_first():
            if int(path.name) > samples_seen:
                shutil.rmtree(path)

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]" * 12), reverse=True)

    def _forget_old(self) -> None:
        paths = self._newest_first()
        ticks = [path for path in paths if _is_tick(path)]
        for path in paths[1:]:
            if path not in ticks[:KEPT]:
                shutil.rmtree(path)
        for path in self.folder.glob(f"{STAGING}*"):
            shutil.rmtree(path)


def _is_tick(path: Path) -> bool:
    """Return whether a checkpoint was written at the end of a tick, as far as it can be read."""
    try:
        return bool(json.loads((path / INDEX).read_bytes()).get("tick"))
    except (OSError, ValueError):
        return False


def _read(path: Path) -> tuple[dict[str, Any] | None, Mapping[str, Tensor] | None]:
    """Return index and tensors of a checkpoint, or None for an incomplete or damaged one."""
    try:
        index = json.loads((path / INDEX).read_bytes())
        data = (path / TENSORS).read_bytes()
    except (OSError, ValueError):
        return None, None
    if index.get("schema") != SCHEMA or index["tensors"] != hashlib.sha256(data).hexdigest():
        return None, None
    return index, load_tensors(data)
