"""Out of memory on a real device: smaller parts first, a sentence at the end."""

import pytest
import torch

from gan.config import GeneratorConfig, TrainingConfig
from gan.errors import MemoryLimitError
from gan.images.presets import resolve
from gan.training.loop import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.fixture
def room():
    """Set how many MiB this process may use on the device, for one test."""

    def allow(mebibytes):
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(0).total_memory
        wanted = torch.cuda.memory_reserved() + mebibytes * 2**20
        torch.cuda.set_per_process_memory_fraction(min(wanted / total, 1.0))

    yield allow
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


@pytest.fixture
def wide(codec):
    """A residual network whose whole batch takes some GiB."""
    return resolve(
        GeneratorConfig(preset="resnet", width=64),
        TrainingConfig(budget_samples=8192, batch_size=4096, device="cuda"),
        codec,
        train_rows=300,
        seed=0,
    )


def test_the_batch_goes_through_in_parts(wide, codec, digits, tmp_path, room):
    room(1024)
    result = train(wide, codec, digits, tmp_path, device="cuda")
    assert result.samples_seen == 8192
    assert [event for event in result.events if event.kind == "memory"]


def test_when_no_part_fits_it_says_so(wide, codec, digits, tmp_path, room):
    room(8)
    with pytest.raises(MemoryLimitError, match="memory"):
        train(wide, codec, digits, tmp_path, device="cuda")
