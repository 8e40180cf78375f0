import hashlib
import json
import subprocess
import sys

import pytest
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from gan.config import ALGORITHM_VERSION
from gan.errors import ConfigError, OutdatedError, SnapshotError
from gan.sample import Sampler
from gan.snapshot import CODEC, CONFIG, INDEX, WEIGHTS, load_snapshot, save_snapshot
from gan.training.loop import train

FILES = (WEIGHTS, CODEC, CONFIG, INDEX)


@pytest.fixture
def folder(tiny, codec, digits, tmp_path):
    short = tiny.model_copy(update={"budget_samples": 32})
    return train(short, codec, digits, tmp_path, device="cpu").snapshot


def rewrite(folder):
    """Write the snapshot again with its own contents, so that every digest fits."""
    snapshot = load_snapshot(folder)
    save_snapshot(
        folder,
        config=snapshot.config,
        codec=snapshot.codec,
        weights=snapshot.weights,
        facts=snapshot.facts,
    )


def test_it_holds_four_files_and_says_what_is_in_them(folder):
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    index = json.loads((folder / INDEX).read_text())
    assert sorted(index["files"]) == sorted(FILES[:3])
    snapshot = load_snapshot(folder)
    assert snapshot.facts == {"samples_seen": 32, "best_samples_seen": 32}
    assert snapshot.codec.classes == tuple(range(10))


def test_equal_input_gives_equal_bytes(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    rewrite(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(SnapshotError, match=name):
        load_snapshot(folder)


@pytest.mark.parametrize("name", FILES[:3])
def test_a_changed_file_is_named(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(SnapshotError, match=rf"{name} was changed after training"):
        load_snapshot(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "ganmill-snapshot/9"}'])
def test_a_foreign_index_is_refused(folder, text):
    (folder / INDEX).write_text(text)
    with pytest.raises(SnapshotError):
        load_snapshot(folder)


def test_a_configuration_of_another_version_is_refused(folder):
    snapshot = load_snapshot(folder)

    class Foreign:
        modality = "images"

        def model_dump(self, mode):
            return {**snapshot.config.model_dump(mode=mode), "novelty": 1}

    save_snapshot(
        folder, config=Foreign(), codec=snapshot.codec, weights=snapshot.weights, facts={}
    )
    with pytest.raises(SnapshotError, match="cannot be read by this version"):
        load_snapshot(folder)


def test_weights_of_other_networks_are_refused(folder):
    snapshot = load_snapshot(folder)
    weights = dict(list(snapshot.weights.items())[:-1])
    save_snapshot(folder, config=snapshot.config, codec=snapshot.codec, weights=weights, facts={})
    with pytest.raises(SnapshotError, match="do not fit"):
        Sampler.load(folder)


def test_networks_of_an_older_algorithm_are_named(folder):
    snapshot = load_snapshot(folder)
    weights = dict(list(snapshot.weights.items())[:-1])
    older = snapshot.config.model_copy(update={"algorithm_version": ALGORITHM_VERSION - 1})
    save_snapshot(folder, config=older, codec=snapshot.codec, weights=weights, facts={})
    with pytest.raises(OutdatedError, match="of algorithm version"):
        Sampler.load(folder)


def test_weights_hold_the_average_alone(folder):
    names = set(load_tensors((folder / WEIGHTS).read_bytes()))
    assert names == set(load_snapshot(folder).weights)
    assert not any("adam" in name or "discriminator" in name for name in names)


def test_unreadable_weights_are_refused(folder):
    """The digest fits, the contents do not: not even then is anything but SnapshotError raised."""
    snapshot = load_snapshot(folder)
    index = json.loads((folder / INDEX).read_text())
    data = save_tensors(dict(snapshot.weights))[:50]
    (folder / WEIGHTS).write_bytes(data)
    index["files"][WEIGHTS] = hashlib.sha256(data).hexdigest()
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(SnapshotError, match="cannot be read"):
        load_snapshot(folder)


def test_counts_that_do_not_fit(folder):
    sampler = Sampler.load(folder)
    with pytest.raises(ConfigError, match="how many rows of each class"):
        sampler.records(10, seed=0, index=0)
    with pytest.raises(ConfigError, match="'seven'"):
        sampler.records((("seven", 3),), seed=0, index=0)


def test_another_process_makes_the_same_records(folder):
    code = (
        "import sys; from pathlib import Path; from gan.sample import Sampler; import hashlib;"
        "t = Sampler.load(Path(sys.argv[1])).records(((3, 300), (4, 7)), seed=2, index=9);"
        "print(hashlib.sha256(t['image'].combine_chunks().to_numpy_ndarray().tobytes()).hexdigest())"
    )
    table = Sampler.load(folder).records(((3, 300), (4, 7)), seed=2, index=9)
    own = hashlib.sha256(table["image"].combine_chunks().to_numpy_ndarray().tobytes()).hexdigest()
    made = subprocess.run(
        [sys.executable, "-c", code, str(folder)], check=True, capture_output=True, text=True
    )
    assert made.stdout.strip() == own
