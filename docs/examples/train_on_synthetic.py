"""What a user of a data set writes: a flow that trains on real and synthetic images.

An automation starts it for every published version (deployments/automations/downstream.yaml).
Nothing of ganmill is needed here. Serve it where the real data are:

    python train_on_synthetic.py --real folder --label kind

The folder has train.parquet, and test.parquet with real images that neither ganmill nor this flow
has ever trained on. The same version may be announced twice; the second run finds the result and
does nothing.
"""  # noqa: INP001 - a script that stands alone

import argparse
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from prefect import flow, task
from sklearn.linear_model import LogisticRegression


@task(retries=2, retry_delay_seconds=10, persist_result=False)
def read(path: str) -> pd.DataFrame:
    """Read a Parquet file, or all shards of a version."""
    return pd.read_parquet(path)


@task(persist_result=False)
def score(train: list[pd.DataFrame], test: pd.DataFrame, label: str) -> float:
    """Train on the frames together and return the accuracy on the test images."""
    frame = pd.concat([one[["image", label]] for one in train], ignore_index=True)
    classifier = LogisticRegression(max_iter=500).fit(pixels(frame), frame[label])
    return float(classifier.score(pixels(test), test[label]))


def pixels(frame: pd.DataFrame) -> np.ndarray:
    """Return one row of numbers from 0 to 1 for every image."""
    images = (Image.open(io.BytesIO(one["bytes"])) for one in frame["image"])
    return np.stack([np.asarray(image).ravel() for image in images]) / 255


@flow(persist_result=False)
def train_on_synthetic(
    name: str, version: str, path: str, real: str, label: str, results: str
) -> None:
    """Train on real images with and without a version, and keep both accuracies.

    Args:
        name: The data set.
        version: Its version.
        path: The folder of its shards.
        real: Folder with real images, train.parquet and test.parquet.
        label: The column of classes.
        results: Folder for one small JSON file per version.
    """
    result = Path(results) / name / f"{version}.json"
    if result.exists():
        return
    reals, synthetic = read(f"{real}/train.parquet"), read(path)
    held_back = read(f"{real}/test.parquet")
    accuracy = {
        "real": score([reals], held_back, label),
        "real and synthetic": score([reals, synthetic], held_back, label),
    }
    rows = {"real": len(reals), "synthetic": len(synthetic), "test": len(held_back)}
    text = json.dumps({"name": name, "version": version, "rows": rows, "accuracy": accuracy})
    result.parent.mkdir(parents=True, exist_ok=True)
    unfinished = result.with_suffix(".part")
    unfinished.write_text(text)
    unfinished.rename(result)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("real", "label"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--results", default="results")
    train_on_synthetic.serve(name="downstream", parameters=vars(parser.parse_args()), limit=1)
