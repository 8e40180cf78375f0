"""A picture of what every generator of images by name makes, for `docs/generators.md`.

    python -m benchmarks.preset_pictures
    python -m benchmarks.preset_pictures --families dense convolutional --budget-cpu-s 12

Each preset trains on scikit-learn's digits for equally many processor seconds, on one thread; what
its average then makes is a row of its family's picture, two of each class as they come.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import process_time

import numpy as np
import torch

from flows.recipe import Recipe
from flows.train import fit_and_resolve
from gan.images.codec import read_images
from gan.images.figures.sheets import Pixels, enlarge, tile, to_png
from gan.protocols import Hooks
from gan.sample import Sampler
from gan.training.loop import train
from storage.sources.prepare import prepare

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "mixture": ("mixture",),
    "refined": ("mixture-gan", "autoregressive"),
    "dense": ("mlp", "mlp-gan"),
    "convolutional": ("dcgan", "lsgan", "wgan", "wgan-gp"),
    "residual": ("resnet", "resnet-gan", "sngan", "gngan", "biggan-small"),
}
"""Name of a picture → its rows; `modern` is `mlp` or `resnet`."""
BUDGET_CPU_S = 30.0
OF_A_CLASS = 2
MOST_BYTES = 40_000


def samples(preset: str, budget_cpu_s: float, folder: Path) -> Pixels:
    """Train a preset and return images of every class in turn, (N, H, W, C)."""
    recipe = Recipe.model_validate(
        {
            "name": "pictures",
            "source": {"uri": "example:digits", "label": "label"},
            "generator": {"preset": preset},
            "training": {"budget_samples": None, "budget_cpu_s": budget_cpu_s, "device": "cpu"},
            "seed": 0,
        }
    )
    prepared = prepare(recipe.source, folder=folder / "prepared", min_group=1)
    codec, resolved = fit_and_resolve(recipe, prepared)
    config = resolved.model_copy(update={"threads": 1})
    records = prepared.records
    hooks = Hooks(validation=records["validation"])
    result = train(config, codec, records["train"], folder / preset, hooks=hooks, device="cpu")
    wanted = tuple((label, OF_A_CLASS) for label in codec.classes)
    made = Sampler.load(result.snapshot).records(wanted, seed=0, index=0)
    order = np.argsort(made["label"].to_numpy(), kind="stable")
    images_NHWC: Pixels = read_images(made)[order]
    return images_NHWC


def picture(presets: Sequence[str], budget_cpu_s: float, folder: Path) -> bytes:
    """Return the PNG of a family: one row for each preset."""
    rows = []
    for preset in presets:
        started_s = process_time()
        rows.append(samples(preset, budget_cpu_s, folder))
        print(f"{preset}: {process_time() - started_s:.0f} CPU s", flush=True)
    png = to_png(tile(enlarge(np.stack(rows)), group=OF_A_CLASS))
    if len(png) > MOST_BYTES:
        msg = f"the picture takes {len(png):,} bytes, and {MOST_BYTES:,} are the most"
        raise ValueError(msg)
    return png


def tiny(folder: Path) -> dict[str, int]:
    """Draw one family after next to no training."""
    torch.set_num_threads(1)
    return {"bytes": len(picture(FAMILIES["dense"], 0.2, folder))}


def main() -> None:
    """Draw the wanted families into `docs/pictures`."""
    parser = argparse.ArgumentParser(description="Pictures of what every generator makes.")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--budget-cpu-s", type=float, default=BUDGET_CPU_S)
    words = parser.parse_args()
    torch.set_num_threads(1)
    PICTURES.mkdir(exist_ok=True)
    for family in words.families:
        with tempfile.TemporaryDirectory() as folder:
            png = picture(FAMILIES[family], words.budget_cpu_s, Path(folder))
        (PICTURES / f"{family}.png").write_bytes(png)


if __name__ == "__main__":
    main()
