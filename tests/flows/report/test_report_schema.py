"""The schema of report.json: it ships, it is what the code says, and it holds what reports hold."""

import dataclasses
import json

import pytest
from jsonschema import Draft202012Validator

from flows.report.schema import DATA, FILE, schema, schema_text, shipped
from gan.lift.result import ArmResult, CurvePoint, Effect, Estimate, GroupLift, Lift
from gan.report import Figure, Metric

ESTIMATE = Estimate(0.1, 0.0, 0.2)
EFFECT = Effect(
    arm="real + fill",
    model="linear",
    metric="accuracy",
    baseline=0.8,
    value=0.9,
    effect=ESTIMATE,
    detectable=0.02,
)
LIFT = Lift(
    answer="helps",
    text="It helps.",
    task="class of label",
    effect=EFFECT,
    remedy=None,
    per_class=(("cat", 0.5, 0.6),),
    arms=(
        ArmResult(
            name="real",
            kind="baseline",
            model="linear",
            real_rows=5,
            synthetic_rows=0,
            validation={"accuracy": ESTIMATE},
        ),
    ),
    groups=(
        GroupLift(column="sex", group="f", rows=9, why="two classes need 10 records each"),
        GroupLift(column="sex", group="m", rows=90, answer="helps", effect=EFFECT),
    ),
    curve=(CurvePoint(real_rows=5, real=ESTIMATE, best=ESTIMATE),),
)


def problems(raw):
    return [error.message for error in Draft202012Validator(shipped()).iter_errors(raw)]


def test_the_shipped_schema_is_what_the_code_says():
    Draft202012Validator.check_schema(schema())
    assert shipped() == schema(), "run `python -m flows.report.schema`"
    assert json.loads(schema_text()) == schema()
    assert FILE.endswith(".schema.json")


def test_reports_of_every_part_are_valid(make_report):
    raw = json.loads(make_report(lift=LIFT).to_json())
    assert problems(raw) == []
    assert {figure["kind"] for figure in raw["figures"]} < set(DATA)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.update(verdict="fine"),
        lambda raw: raw.update(more=1),
        lambda raw: raw.pop("metrics"),
        lambda raw: raw.pop("schema"),
        lambda raw: raw["metrics"][0].update(value="high"),
        lambda raw: raw["metrics"][0].update(mean=0.5),
        lambda raw: raw["reasons"][0].update(aspect="looks"),
        lambda raw: raw["lift"]["effect"].update(effect=[0.1]),
        lambda raw: raw["figures"][1].update(kind="bars"),
        lambda raw: raw["figures"][1]["data"].update(ylabel="x"),
    ],
)
def test_a_changed_field_is_found(make_report, change):
    raw = json.loads(make_report(lift=LIFT).to_json())
    change(raw)
    assert problems(raw)


def test_every_field_and_part_says_what_it_is():
    found = schema()
    for part in (Metric, Figure, Lift):
        said = found["$defs"][part.__name__]
        assert set(said["properties"]) == {field.name for field in dataclasses.fields(part)}
    assert found["properties"]["lift"]["description"].startswith("Whether its records help")
    assert found["$defs"]["Ceiling"]["properties"]["low"]["description"]


def test_every_kind_of_figure_has_its_data(make_report):
    for kind in DATA:
        wrong = Figure(id="x", section="data", caption="", alt="", kind=kind, data={"no": 1})
        raw = json.loads(json.dumps(dataclasses.asdict(make_report(figures=[wrong]))))
        assert problems(raw)
