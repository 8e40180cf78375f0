"""A trained generator of a table full of rules: every synthetic row keeps every rule."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from small_tables import with_meaning

from gan.config import GeneratorConfig, TrainingConfig
from gan.modalities import load_modality
from gan.sample import Sampler
from gan.tables.constraints import violations
from gan.training.loop import train
from storage.records.constraint import Constraint
from storage.records.schema import Condition

ROWS = 1500
RULES = [
    {"kind": "sum", "columns": ["household", "kids", "adults", "seniors"]},
    {"kind": "linear", "columns": ["net", "household", "quantity"], "weights": [2.5, 1.25]},
    {"kind": "product", "columns": ["line_total", "quantity", "price"]},
    {"kind": "linear", "columns": ["gross", "line_total"], "weights": [1.19]},
    {"kind": "ratio", "columns": ["bmi", "weight", "height", "height"]},
    {"kind": "band", "columns": ["class", "bmi"], "cuts": [18.5, 25.0], "levels": ["u", "n", "o"]},
    {"kind": "lookup", "columns": ["fee", "country", "segment"]},
    {"kind": "lookup", "columns": ["name", "country"]},
    {"kind": "difference", "columns": ["nights", "leaves", "comes"], "unit": "days"},
    {"kind": "inequality", "columns": ["comes", "leaves"]},
    {"kind": "one_of", "columns": ["red", "green", "blue"]},
    {"kind": "conditional", "columns": ["late_days", "late"], "value": "0", "when": ["false"]},
    {"kind": "conditional", "columns": ["reason", "late"], "value": "null", "when": ["false"]},
    {"kind": "range", "columns": ["gross"], "low": 0, "high": 800},
]


def rows(count, seed=0):
    numbers = np.random.default_rng(seed)
    draw = numbers.integers
    kids, adults = numbers.poisson(1, count), draw(1, 4, count)
    seniors = numbers.poisson(0.3, count)
    quantity, price = draw(1, 20, count), np.round(numbers.gamma(2, 8, count) + 1, 2)
    total = np.round(quantity * price, 2)
    height, weight = (
        numbers.normal(1.7, 0.1, count).round(2),
        numbers.normal(72, 12, count).round(1),
    )
    bmi = np.round(weight / height**2, 1)
    place, segment, colour = draw(0, 3, count), draw(0, 2, count), draw(0, 3, count)
    nights, late = draw(1, 15, count), numbers.random(count) < 0.25
    comes = [date(2024, 1, 1) + timedelta(days=int(day)) for day in draw(0, 300, count)]
    table = {
        "kids": kids,
        "adults": adults,
        "seniors": seniors,
        "household": kids + adults + seniors,
        "quantity": quantity,
        "net": 2.5 * (kids + adults + seniors) + 1.25 * quantity,
        "price": price,
        "line_total": total,
        "gross": np.round(total * 1.19, 2),
        "height": height,
        "weight": weight,
        "bmi": bmi,
        "class": np.array(["u", "n", "o"])[(bmi >= 18.5) * 1 + (bmi >= 25)],
        "country": np.array(["DE", "FR", "IT"])[place],
        "name": np.array(["Germany", "France", "Italy"])[place],
        "segment": np.array(["gold", "silver"])[segment],
        "fee": 3 * place + segment,
        "nights": nights,
        "comes": comes,
        "leaves": [c + timedelta(days=int(n)) for c, n in zip(comes, nights, strict=True)],
        "red": (colour == 0).astype(int),
        "green": (colour == 1).astype(int),
        "blue": (colour == 2).astype(int),
        "late": late,
        "late_days": np.where(late, draw(1, 30, count), 0),
        "reason": pa.array(numbers.choice(["bank", "mail"], count), mask=~late),
    }
    whole = with_meaning(table, constraints=RULES, min_group=5)
    return whole.filter(pa.array(table["gross"] <= 800))


@pytest.fixture(scope="module")
def sampler(tmp_path_factory):
    folder, records = tmp_path_factory.mktemp("rules"), rows(ROWS)
    module = load_modality("tables")
    codec = module.codec.fit(records, "late")
    config = module.resolve(
        GeneratorConfig(preset="autoregressive"),
        TrainingConfig(budget_samples=30_000, device="cpu"),
        codec,
        train_rows=len(records),
        seed=0,
    )
    train(config, codec, records, folder)
    return Sampler.load(folder / "snapshot")


def broken(made):
    rules = [Constraint(**rule) for rule in RULES]
    masks = violations(made, rules, rows(ROWS))
    return {rule.columns: int(mask.sum()) for rule, mask in zip(rules, masks, strict=True)}


@pytest.mark.full
def test_every_row_keeps_every_rule(sampler):
    made = sampler.records(5000, seed=1, index=0)
    assert set(broken(made).values()) == {0}
    assert 0.15 < np.mean(made["late"].to_numpy()) < 0.35
    assert len(set(made["late_days"].to_pylist())) > 20


@pytest.mark.full
def test_every_row_of_a_kind_keeps_every_rule(sampler):
    given = (Condition(column="late_days", low="10"), Condition(column="name", values=("Italy",)))
    made = sampler.records(1000, seed=1, index=0, given=given)
    assert set(broken(made).values()) == {0}
    assert min(made["late_days"].to_pylist()) >= 10
    assert set(made["late"].to_pylist()) == {True}
    assert set(made["country"].to_pylist()) == {"IT"}
