"""Real records in four shares: train, validation, holdout, and unseen ones: a perfect generator.

Digits; rows of breast cancer, 569 by 31; and a made table of customers with columns of every kind
that depend on one another.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_breast_cancer, load_digits

from gan.images.codec import write_images
from gan.images.judge import build_reference, evaluate
from gan.modalities import Options, Reference, Splits
from gan.report import Evaluation
from gan.tables.judge import build_reference as build_table_reference
from storage.records.schema import Column
from storage.records.table_metadata import TableMetadata, with_table_metadata

TRAIN, VALIDATION, HOLDOUT = 719, 359, 359
"""Rows of 1,797; the rest, 360, is the perfect generator."""


@dataclass(frozen=True)
class Digits:
    """Images and labels as arrays, and index sets into them; scenes as well."""

    images: np.ndarray
    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    holdout: np.ndarray
    unseen: np.ndarray

    def table(self, rows: np.ndarray) -> pa.Table:
        return records(self.images[rows], self.labels[rows])

    def splits(self) -> Splits:
        return Splits(
            train=self.table(self.train),
            validation=self.table(self.validation),
            holdout=self.table(self.holdout),
            label="label",
        )

    def reshuffled(self, seed: int) -> "Digits":
        """Other validation, holdout and unseen rows; train, which the nets saw, stays."""
        rest = np.concatenate([self.validation, self.holdout, self.unseen])
        order = np.random.default_rng(seed).permutation(rest)
        cuts = np.cumsum([len(self.validation), len(self.holdout)])
        validation, holdout, unseen = np.split(order, cuts)
        return replace(self, validation=validation, holdout=holdout, unseen=unseen)


def records(images: np.ndarray, labels: np.ndarray) -> pa.Table:
    return pa.table({"image": write_images(images), "label": labels})


def load(seed: int) -> Digits:
    data, labels = load_digits(return_X_y=True)
    images = np.round(data.reshape(-1, 8, 8, 1) * 255 / 16).astype(np.uint8)
    order = np.random.default_rng(seed).permutation(len(images))
    parts = np.split(order, np.cumsum([TRAIN, VALIDATION, HOLDOUT]))
    return Digits(images, labels.astype(np.int64), *parts)


@pytest.fixture(scope="session")
def digits() -> Digits:
    return load(0)


@pytest.fixture(scope="session")
def digits_reference(digits: Digits) -> Reference:
    return build_reference(digits.splits(), Options(halves=20, replicates=20))


@pytest.fixture(scope="session")
def unseen_digits(digits: Digits, digits_reference: Reference) -> Evaluation:
    """The evaluation of a perfect generator."""
    return evaluate(digits.table(digits.unseen), digits_reference)


@dataclass(frozen=True)
class Rows:
    """A table in four shares."""

    train: pa.Table
    validation: pa.Table
    holdout: pa.Table
    unseen: pa.Table
    label: str

    def reference(self, seed: int = 0) -> Reference:
        splits = Splits(
            train=self.train, validation=self.validation, holdout=self.holdout, label=self.label
        )
        options = Options(seed=seed, halves=20, replicates=20)
        return build_table_reference(splits, options)


def share(table: pa.Table, label: str, unseen: int, seed: int) -> Rows:
    """Return the rows at random; validation, holdout and unseen are equally large."""
    order = np.random.default_rng(seed).permutation(table.num_rows)
    train = table.num_rows - 3 * unseen
    parts = np.split(order, [train, train + unseen, train + 2 * unseen])
    return Rows(*(table.take(part) for part in parts), label)


def meant(table: pa.Table, kinds: dict[str, str]) -> pa.Table:
    columns = [Column(name=name, kind=kinds[name], why="made") for name in table.column_names]
    return table.replace_schema_metadata(
        with_table_metadata(table.schema, TableMetadata(columns=tuple(columns))).metadata
    )


KINDS = {
    "region": "category",
    "age": "integer",
    "plan": "category",
    "income": "decimal",
    "tax": "float",
    "joined": "date",
    "months": "integer",
    "score": "float",
    "visits": "integer",
    "churned": "boolean",
}


def make_customers(rows: int, seed: int) -> pa.Table:
    """Return customers: region → age → plan → income → tax, joined → months, all → churned."""
    rng = np.random.default_rng(seed)
    place = rng.choice(4, rows, p=[0.4, 0.3, 0.2, 0.1])
    age = np.clip(rng.normal(np.array([40, 52, 45, 35])[place], 10), 18, 90).astype(int)
    plan = np.where(rng.random(rows) < 1 / (1 + np.exp((45 - age) / 5)), "full", "basic")
    plan = np.where(rng.random(rows) < 0.15, "trial", plan)
    income = np.round(np.exp(rng.normal(9 + 0.02 * age + 0.6 * (plan == "full"), 0.35)), 2)
    days = (rng.beta(2, 1.2, rows) * 2000).astype(int)
    score = rng.normal(income / 25_000 - 1.5 * (place == 3), 0.7)
    churned = rng.random(rows) < 1 / (1 + np.exp(1.5 - 3 * (plan == "trial") + score))
    unknown = rng.random(rows) < np.where(plan == "trial", 0.3, 0.0)
    table = pa.table(
        {
            "region": np.array(["north", "south", "east", "west"])[place],
            "age": age,
            "plan": plan,
            "income": pa.array(income, mask=unknown).cast(pa.decimal128(12, 2)),
            "tax": np.round(income * rng.normal(0.2, 0.01, rows), 2),
            "joined": pa.array(np.datetime64("2020-01-01") + days),
            "months": ((2400 - days) // 30).astype(np.int16),
            "score": score.astype(np.float32),
            "visits": rng.poisson(np.where(churned, 1.5, 6)).astype(np.int32),
            "churned": churned,
        }
    )
    return meant(table, KINDS)


@pytest.fixture(scope="session")
def customers() -> Rows:
    return share(make_customers(4000, 0), "churned", 800, 0)


@pytest.fixture(scope="session")
def customers_reference(customers: Rows) -> Reference:
    return customers.reference()


@pytest.fixture(scope="session")
def cancer() -> Rows:
    data, targets = load_breast_cancer(return_X_y=True)
    names = [str(name) for name in load_breast_cancer().feature_names]
    columns = {name: data[:, place] for place, name in enumerate(names)}
    columns["diagnosis"] = np.where(targets == 1, "benign", "malignant")
    kinds = dict.fromkeys(names, "float") | {"diagnosis": "category"}
    return share(meant(pa.table(columns), kinds), "diagnosis", 113, 1)


@pytest.fixture(scope="session")
def cancer_reference(cancer: Rows) -> Reference:
    return cancer.reference()
