import json
from dataclasses import asdict, replace

import pytest
from pydantic import ValidationError

from gan.bounds import bounds_of
from gan.errors import ConfigError
from gan.evaluation.promotion import Contender, compare, paired_interval
from gan.gate import GATE_VERSION, GateConfig, MetricBound, in_force, judge, real_pass_share
from gan.images.judge import METRICS as IMAGES
from gan.modalities import load_modality
from gan.report import Ceiling, Evaluation, Fact, Measured, Metric, TooFew
from gan.tables.judge import METRICS as TABLES
from storage.digests import digest_json
from storage.records.modalities import MODALITIES

SHOWN = {
    "meaning",
    "unit",
    "title",
    "aspect",
    "real",
    "figures",
    "ticks",
    "class_ticks",
    "curve",
    "not_judged",
    "alarms",
}
"""Fields of a metric that decide nothing."""


def measured(name="coverage", value=0.95, low=0.9, high=1.0, **more):
    ceiling = more.pop("ceiling", 1.0)
    reals = more.pop("reals", ())
    replicates = more.pop("replicates", ())
    metric = Metric(
        name=name,
        scope=more.pop("scope", "random"),
        value=value,
        low=low,
        high=high,
        n=360,
        ceiling=Ceiling(value=ceiling, low=ceiling, high=ceiling),
        direction=more.pop("direction", "higher"),
    )
    return Measured(metric=metric, reals=reals, replicates=replicates)


def evaluation(*items, facts=(), too_few=()):
    return Evaluation(
        measured=items,
        facts=tuple(facts),
        too_few=tuple(too_few),
        n=360,
        holdout_rows=360,
        candidate_rows=360,
        candidate_class_counts=(),
        seed=0,
    )


def outcome(item, config=None, metrics=IMAGES):
    return judge(evaluation(item), metrics, config or GateConfig()).reasons[0].outcome


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (0.80, 0.76, 0.84, "pass"),
        (0.75, 0.40, 0.84, "pass"),
        (0.74, 0.60, 0.90, "warn"),
        (0.45, 0.39, 0.51, "warn"),
        (0.45, 0.41, 0.49, "block"),
    ],
)
def test_coverage(value, low, high, expected):
    assert outcome(measured("coverage", value, low, high)) == expected


def test_bounds_are_relative_to_the_ceiling():
    item = measured("coverage", 0.45, 0.41, 0.49, ceiling=0.5)
    assert outcome(item) == "pass"


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (1.4, 1.2, 1.8, "pass"),
        (1.8, 1.4, 2.2, "warn"),
        (2.5, 2.1, 2.9, "block"),
        (0.2, 0.1, 0.29, "block"),
    ],
)
def test_density_is_bounded_on_both_sides(value, low, high, expected):
    assert outcome(measured("density", value, low, high, direction="target")) == expected


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [(3, 2, 5, "pass"), (3, 2, 5.5, "warn"), (30, 20, 40, "warn"), (35, 26, 45, "block")],
)
def test_fd_passes_by_the_upper_end(value, low, high, expected):
    assert outcome(measured("fd", value, low, high, direction="lower")) == expected


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (0.07, 0.060, 0.09, "pass"),
        (0.09, 0.049, 0.14, "pass"),
        (0.09, 0.051, 0.14, "block"),
        (0.02, 0.010, 0.03, "pass"),
    ],
)
def test_copies_block_only_when_point_and_lower_bound_agree(value, low, high, expected):
    item = measured("copies", value, low, high, ceiling=0.05, direction="lower")
    assert outcome(item) == expected


@pytest.mark.parametrize(
    ("value", "high", "expected"), [(0.88, 0.9, "pass"), (0.86, 0.9, "warn"), (0.4, 0.48, "block")]
)
def test_label_accuracy(value, high, expected):
    assert outcome(measured("label_accuracy", value, 0.3, high, ceiling=0.97)) == expected


def test_what_real_data_would_not_pass_cannot_be_known():
    reals = (0.5,) * 10 + (0.9,) * 90
    item = measured("coverage", 0.95, 0.9, 1.0, reals=reals)
    judgement = judge(evaluation(item), IMAGES, GateConfig())
    assert judgement.verdict == "warn"
    assert judgement.unknown == ("coverage",)
    assert "cannot be known from 360 holdout records" in judgement.reasons[0].text
    assert "90%" in judgement.reasons[0].text


def test_real_data_that_passes_in_95_of_100_is_enough():
    item = measured("coverage", reals=(0.5,) * 5 + (0.9,) * 95)
    bounds = bounds_of(item.metric, IMAGES)
    assert real_pass_share(item, bounds) == pytest.approx(0.95)
    assert outcome(item) == "pass"


def test_a_block_stands_even_where_real_data_is_unreliable():
    item = measured("coverage", 0.2, 0.1, 0.3, reals=(0.6,) * 100)
    assert outcome(item) == "block"


def test_a_fact_decides_on_the_point():
    fact = Fact(name="exact_copies", holds=False, value=0.01, text="1 of 100 records equal train")
    judgement = judge(evaluation(measured(), facts=[fact]), IMAGES, GateConfig())
    assert judgement.verdict == "block"
    assert judgement.reasons[0].text == "1 of 100 records equal train"


def test_a_class_with_too_few_records_is_unknown():
    few = TooFew(label="scratch", n=7, needed=20)
    judgement = judge(evaluation(measured(), too_few=[few]), IMAGES, GateConfig())
    assert judgement.verdict == "warn"
    assert judgement.unknown == ("coverage",)


def test_reasons_are_worst_first_and_passes_are_named_by_their_worse_scope():
    judgement = judge(
        evaluation(
            measured("density", 1.0, 0.9, 1.1, direction="target"),
            measured("coverage", 0.95, scope="classifier"),
            measured("coverage", 0.80, scope="random"),
            measured("fd", 20, 5, 30, direction="lower"),
            measured("label_accuracy", 0.1, 0.05, 0.2),
        ),
        IMAGES,
        GateConfig(),
    )
    assert [(r.outcome, r.metric, r.scope) for r in judgement.reasons] == [
        ("block", "label_accuracy", "random"),
        ("warn", "fd", "random"),
        ("pass", "density", "random"),
        ("pass", "coverage", "random"),
    ]


def test_a_metric_without_a_rule_is_reported_with_the_reason_why():
    judgement = judge(evaluation(measured("kid", 9.0)), IMAGES, GateConfig())
    assert (judgement.verdict, judgement.reasons) == ("pass", ())
    (reason,) = judgement.unjudged
    assert (reason.outcome, reason.metric) == ("reported", "kid")
    assert reason.text.startswith("kid (random) is 9 [0.9, 1]; real data 1: ")
    assert reason.text.endswith(reason.why)


@pytest.mark.parametrize("name", [*MODALITIES])
def test_every_metric_without_bounds_says_why(name):
    for entry in load_modality(name).metrics:
        assert entry.limits or entry.not_judged, entry.key


@pytest.mark.parametrize(
    ("entries", "name", "value", "interval", "says"),
    [
        (TABLES, "membership", 1.0, (1.0, 1.0), "which rows it was trained on"),
        (TABLES, "dcr_share", 0.591, (0.56, 0.62), "nearer to a training row"),
        (TABLES, "density", 3.0, (2.8, 3.2), "crowd"),
        (TABLES, "density", 0.1, (0.05, 0.2), "where no real ones are"),
        (TABLES, "changed", 0.4, (0.4, 0.4), "as the constraints want them"),
        (TABLES, "redrawn", 0.9, (0.9, 0.9), "break the constraints"),
    ],
)
def test_a_value_that_no_rule_judges_and_that_stands_out_says_so(
    entries, name, value, interval, says
):
    item = without_ceiling(name, value, *interval)
    judgement = judge(evaluation(item), entries, GateConfig())
    (reason,) = judgement.unjudged
    assert (judgement.verdict, reason.outcome) == ("pass", "alarm")
    assert says in reason.why
    assert "not judged: " in reason.text


def without_ceiling(name, value, low, high):
    item = measured(name, value, low, high, scope="all")
    return replace(item, metric=replace(item.metric, ceiling=None))


@pytest.mark.parametrize(
    ("name", "value", "interval"),
    [("membership", 0.6, (0.5, 0.7)), ("dcr_share", 0.53, (0.51, 0.55)), ("density", 1, (0.9, 1))],
)
def test_what_chance_may_explain_does_not_stand_out(name, value, interval):
    (reason,) = judge(
        evaluation(without_ceiling(name, value, *interval)), TABLES, GateConfig()
    ).unjudged
    assert reason.outcome == "reported"


def test_precision_far_below_its_ceiling_stands_out_and_each_metric_is_named_once_otherwise():
    items = (
        measured("precision", 0.35, 0.3, 0.4, scope="classifier", ceiling=0.91),
        measured("precision", 0.8, 0.7, 0.9, scope="random", ceiling=0.91),
        measured("kid", 0.8, 0.7, 0.9, scope="classifier", ceiling=0.91),
        measured("kid", 0.7, 0.6, 0.8, scope="random", ceiling=0.91),
    )
    found = judge(evaluation(*items), IMAGES, GateConfig()).unjudged
    assert [(one.outcome, one.metric, one.scope) for one in found] == [
        ("alarm", "precision", "classifier"),
        ("reported", "precision", "random"),
        ("reported", "kid", "classifier"),
    ]
    assert "real data 0.91" in found[0].text
    assert "look like no real one" in found[0].text


@pytest.mark.parametrize(("value", "expected"), [(0.5, "pass"), (0.3, "warn"), (0.13, "block")])
def test_recall_far_below_its_ceiling_is_judged(value, expected):
    item = measured("recall", value, value - 0.02, value + 0.02)
    assert outcome(item) == expected


@pytest.mark.parametrize(("high", "expected"), [(0.74, "pass"), (0.99, "warn"), (1.0, "warn")])
def test_a_reason_names_what_gives_a_candidate_away_where_it_does_not_pass(high, expected):
    item = measured("c2st", 0.73, 0.72, high, scope="statistics", ceiling=0.5, direction="lower")
    item = replace(item, because="given away by more grain, 0.99 alone")
    (reason,) = judge(evaluation(item), IMAGES, GateConfig()).reasons
    assert reason.outcome == expected
    assert reason.text.endswith("; given away by more grain, 0.99 alone") == (expected == "warn")


@pytest.mark.parametrize(("low", "first"), [(0.96, "c2st"), (0.9, "coverage")])
def test_what_is_plain_to_see_comes_first_among_equally_bad_reasons(low, first):
    seen = measured("c2st", 0.98, low, 0.99, scope="statistics", ceiling=0.5, direction="lower")
    seen = replace(seen, because="given away by more grain, 0.99 alone")
    reasons = judge(evaluation(measured("coverage", 0.7, 0.6, 0.8), seen), IMAGES, GateConfig())
    assert [reason.outcome for reason in reasons.reasons] == ["warn", "warn"]
    assert reasons.reasons[0].metric == first


def test_too_few_rows_for_a_rule_are_counted():
    (reason,) = judge(
        evaluation(without_ceiling("dcr_share", 0.5, 0.45, 0.55)), TABLES, GateConfig()
    ).unjudged
    assert reason.why.startswith("360 rows are compared, from 5,000 on it is judged")


@pytest.mark.parametrize(
    ("interval", "outcome", "text"),
    [
        (
            (0.5656, 0.7086),
            "warn",
            "upper end 0.7086 of c2st (all) 0.6371 [0.5656, 0.7086] is not at most 0.65; "
            "real data 0.5",
        ),
        (
            (0.6, 0.649),
            "pass",
            "upper end 0.649 of c2st (all) 0.6371 [0.6, 0.649] is within the pass bound, "
            "at most 0.65; real data 0.5",
        ),
        (
            (0.81, 0.9),
            "block",
            "c2st (all) is 0.6371 [0.81, 0.9]; real data 0.5: the whole interval is above 0.8 "
            "(its lower end is 0.81)",
        ),
    ],
)
def test_a_bound_on_an_end_of_the_interval_names_the_end(interval, outcome, text):
    item = measured("c2st", 0.6371, *interval, scope="all", ceiling=0.5, direction="lower")
    (reason,) = judge(evaluation(item), TABLES, GateConfig()).reasons
    assert (reason.outcome, reason.text) == (outcome, text)


def test_the_end_that_lets_copies_pass_is_named():
    item = measured("copies", 0.09, 0.049, 0.14, ceiling=0.05, direction="lower")
    (reason,) = judge(evaluation(item), IMAGES, GateConfig()).reasons
    assert reason.outcome == "pass"
    assert reason.text.endswith(
        "the value is not at most 0.075, but the lower end 0.049 is not above 0.05, so that it "
        "passes"
    )


def test_every_bound_on_an_upper_end_says_so_when_it_is_missed():
    for entry in (*IMAGES, *TABLES):
        if entry.upper_end:
            scope = entry.scope or "all"
            item = measured(entry.name, 0.0, -1.0, 1e9, ceiling=0.5, scope=scope, reals=())
            (reason,) = judge(evaluation(item), (entry,), GateConfig()).reasons
            assert reason.text.startswith("upper end 1e+09 of "), entry.key


def bounded(*bounds, **more):
    return GateConfig.model_validate({"bounds": bounds, **more})


def test_a_recipe_may_tighten_and_loosen():
    item = measured("coverage", 0.8, 0.75, 0.85)
    assert outcome(item, bounded({"metric": "coverage", "pass": 0.9})) == "warn"
    strict = bounded({"metric": "coverage", "pass": 0.9, "block": 0.88})
    assert outcome(item, strict) == "block"
    assert judge(evaluation(item), IMAGES, strict).metrics == in_force(IMAGES, strict)


def test_each_side_of_density_has_its_own_name():
    item = measured("density", 2.5, 2.4, 2.6, direction="target")
    assert outcome(item, bounded({"metric": "density_high", "pass": 3, "block": 4})) == "pass"
    assert outcome(item, bounded({"metric": "density_low", "pass": 0, "block": 0})) == "block"


def test_the_mean_of_columns_and_one_column_have_their_own_bounds():
    config = bounded({"metric": "one_way/all", "pass": 9, "block": 9})
    mean = measured("one_way", 0.05, 0.045, 0.06, scope="all", ceiling=0.01, direction="lower")
    column = measured("one_way", 0.2, 0.18, 0.22, scope="all/age", ceiling=0.01, direction="lower")
    assert outcome(mean, config, TABLES) == "pass"
    assert outcome(column, config, TABLES) == "block"


@pytest.mark.parametrize(
    ("metrics", "bound", "says"),
    [
        (IMAGES, {"metric": "c2st", "pass": 0.6}, "'c2st'.*choose from coverage, density_low, den"),
        (TABLES, {"metric": "fd", "pass": 1}, "'fd', .*coverage, one_way/all, one_way, two_way"),
        (IMAGES, {"metric": "density", "pass": 1}, "density_low"),
        (IMAGES, {"metric": "kid", "pass": 1}, "'kid'"),
        (IMAGES, {"metric": "coverage", "block": 0.8}, "coverage with pass 0.75 and block 0.8"),
        (IMAGES, {"metric": "fd", "pass": 60}, "fd with pass 60 and block 25"),
        (IMAGES, {"metric": "label_accuracy", "pass": 0.6}, "what passes would be blocked"),
        (TABLES, {"metric": "c2st", "block": 0.6}, "c2st with pass 0.65 and block 0.6"),
    ],
)
def test_a_bound_that_does_not_fit_the_metrics_is_refused(metrics, bound, says):
    with pytest.raises(ConfigError, match=says):
        in_force(metrics, bounded(bound))


def test_copies_may_block_by_the_lower_end_inside_the_pass_bound():
    (copies,) = [
        entry
        for entry in in_force(IMAGES, bounded({"metric": "copies", "pass": 3}))
        if entry.name == "copies"
    ]
    assert (copies.limits[0].passes, copies.limits[0].blocks) == (3, 1)


def test_the_config_fits_a_form():
    for model in (GateConfig, MetricBound):
        fields = model.model_json_schema(by_alias=True)["properties"]
        assert all({"title", "description"} <= set(field) for field in fields.values())
    assert list(fields) == ["metric", "pass", "block"]
    with pytest.raises(ValidationError, match="coverage_pas"):
        GateConfig.model_validate({"coverage_pas": 0.5})
    with pytest.raises(ValidationError, match="must give pass, block or both"):
        bounded({"metric": "fd"})
    with pytest.raises(ValidationError, match="has fd more than once"):
        bounded({"metric": "fd", "pass": 1}, {"metric": "fd", "block": 2})
    config = bounded({"metric": "fd", "pass": 1})
    dumped = json.loads(json.dumps(config.model_dump(mode="json")))
    assert dumped["bounds"] == [{"metric": "fd", "pass": 1.0, "block": None}]
    assert GateConfig.model_validate(dumped) == config


def test_the_gate_version_is_raised_with_the_default_bounds():
    """A kept verdict is taken again only where this number is the same."""
    rules = [
        {name: value for name, value in asdict(entry).items() if name not in SHOWN}
        for entry in (*IMAGES, *TABLES)
    ]
    assert (GATE_VERSION, digest_json(rules)) == (
        4,
        "a3736b830cdad3a0bdc4ed101db3e14a99ee52fadecb9a30242b23cd7d8330ca",
    )


@pytest.mark.parametrize("metrics", [IMAGES, TABLES], ids=["images", "tables"])
def test_every_entry_is_complete(metrics):
    assert len({entry.key for entry in metrics}) == len(metrics)
    for entry in metrics:
        assert entry.meaning.endswith(".")
        assert entry.unit
        assert bool(entry.ticks) == bool(entry.curve)
        assert len(entry.limits) < 2 or [limit.side for limit in entry.limits] == ["low", "high"]
        assert entry.limits or not (entry.is_primary or entry.must_be_known)
        if entry.direction != "target":
            side = "low" if entry.direction == "higher" else "high"
            assert all(limit.side == side for limit in entry.limits)


def contender(name, *items, split="rule", metrics=IMAGES):
    found = evaluation(*items)
    judgement = judge(found, metrics, GateConfig())
    return Contender(name=name, evaluation=found, judgement=judgement, split_rule=split)


def test_the_first_that_passes_is_champion():
    assert compare(contender("a", measured()), None, GateConfig()).promote


def test_unknown_coverage_is_promoted_only_when_accepted():
    unknown = contender("a", measured(reals=(0.1,) * 20))
    refused = compare(unknown, None, GateConfig())
    assert not refused.promote
    assert "accept_unknown" in refused.reason
    assert compare(unknown, None, GateConfig(accept_unknown=True)).promote


def test_unknown_label_accuracy_does_not_stand_in_the_way():
    unknown = contender("a", measured("label_accuracy", reals=(0.1,) * 20))
    assert unknown.judgement.verdict == "warn"
    assert compare(unknown, None, GateConfig()).promote


def test_another_split_rule_is_refused():
    result = compare(
        contender("a", measured()), contender("b", measured(), split="x"), GateConfig()
    )
    assert not result.promote
    assert "split rule" in result.reason


def test_noise_that_both_share_does_not_hide_a_loss():
    """Both swing with the holdout half; their difference hardly does."""
    swings = [0.90, 0.99, 0.93, 0.97, 0.91, 0.98]
    champion = measured(value=0.95, replicates=tuple(swings))
    steady = tuple(value - 0.02 + 0.001 * (i % 2) for i, value in enumerate(swings))
    challenger = measured(value=0.93, replicates=steady)
    low, high = paired_interval(challenger, champion)
    assert low < -0.02 < high < 0
    result = compare(contender("new", challenger), contender("old", champion), GateConfig())
    assert not result.promote
    assert "coverage (random) 0.93 against 0.95" in result.reason


def test_a_loss_within_the_paired_interval_is_no_loss():
    champion = measured(value=0.95, replicates=(0.9, 0.99, 0.93, 0.97))
    challenger = measured(value=0.93, replicates=(0.97, 0.9, 0.99, 0.93))
    assert compare(contender("n", challenger), contender("o", champion), GateConfig()).promote


def test_lower_is_better_for_copies():
    old = measured("copies", 0.03, 0.02, 0.04, ceiling=0.05, direction="lower")
    new = measured("copies", 0.06, 0.05, 0.07, ceiling=0.05, direction="lower")
    assert not compare(contender("n", new), contender("o", old), GateConfig()).promote
    assert compare(contender("n", old), contender("o", new), GateConfig()).promote


def test_a_blocked_champion_is_no_rival_although_it_copies_less():
    drifted = contender("o", measured("coverage", 0.1, 0.05, 0.15), copies(0.0), split="x")
    assert drifted.judgement.verdict == "block"
    result = compare(contender("n", measured(), copies(0.05)), drifted, GateConfig())
    assert result.promote
    assert result.reason == "the champion o is blocked today and n is not"
    blocked = contender("n", measured("coverage", 0.1, 0.05, 0.15), copies(0.05))
    assert not compare(blocked, drifted, GateConfig()).promote


def copies(value):
    return measured("copies", value, value, value, ceiling=0.05, direction="lower")


def test_unequal_resamples_are_an_error():
    with pytest.raises(ValueError, match="evaluate both in one run"):
        paired_interval(measured(replicates=(1.0,)), measured(replicates=(1.0, 2.0)))


@pytest.mark.parametrize(
    ("name", "scope", "ceiling", "value", "low", "high", "expected"),
    [
        ("coverage", "all", 1.0, 0.85, 0.82, 0.88, "warn"),
        ("coverage", "all", 1.0, 0.75, 0.71, 0.79, "block"),
        ("one_way", "all", 0.01, 0.019, 0.015, 0.03, "pass"),
        ("one_way", "all", 0.01, 0.05, 0.041, 0.06, "block"),
        ("one_way", "all/age", 0.02, 0.069, 0.05, 0.08, "pass"),
        ("one_way", "all/age", 0.02, 0.10, 0.09, 0.13, "warn"),
        ("one_way", "all/age", 0.02, 0.15, 0.121, 0.16, "block"),
        ("two_way", "all", 0.04, 0.06, 0.05, 0.07, "pass"),
        ("two_way", "all", 0.04, 0.12, 0.101, 0.13, "block"),
        ("c2st", "all", 0.5, 0.62, 0.60, 0.66, "warn"),
        ("c2st", "all", 0.5, 0.62, 0.60, 0.65, "pass"),
        ("c2st", "all", 0.5, 0.85, 0.81, 0.88, "block"),
        ("tstr_gap", "income", 0.0, 0.01, 0.0, 0.02, "pass"),
        ("tstr_gap", "income", 0.0, 0.08, 0.06, 0.10, "block"),
        ("tstr_gap_r2", "price", 0.0, 0.04, 0.0, 0.05, "pass"),
        ("tstr_gap_r2", "price", 0.0, 0.08, 0.06, 0.10, "warn"),
        ("dcr_share", "all", 0.5, 0.51, 0.50, 0.52, "pass"),
        ("dcr_share", "all", 0.5, 0.58, 0.56, 0.60, "block"),
        ("null_rate", "all/note", 0.001, 0.004, 0.0, 0.012, "pass"),
        ("null_rate", "all/note", 0.001, 0.03, 0.011, 0.05, "block"),
    ],
)
def test_tables(name, scope, ceiling, value, low, high, expected):
    direction = "higher" if name == "coverage" else "lower"
    item = measured(name, value, low, high, scope=scope, ceiling=ceiling, direction=direction)
    assert outcome(item, metrics=TABLES) == expected


def test_a_column_is_named():
    item = measured("one_way", 0.15, 0.13, 0.16, scope="all/age", ceiling=0.02, direction="lower")
    (reason,) = judge(evaluation(item), TABLES, GateConfig()).reasons
    assert reason.text == (
        "one_way of column 'age' is 0.15 [0.13, 0.16]; real data 0.02: "
        "the whole interval is above 0.12 (its lower end is 0.13)"
    )


def test_what_comes_without_a_ceiling_is_only_shown():
    metric = Metric(name="dcr_share", scope="all", value=0.9, low=0.8, high=1.0, n=300)
    assert bounds_of(metric, TABLES) is None
    assert judge(evaluation(Measured(metric=metric)), TABLES, GateConfig()).verdict == "pass"


@pytest.mark.parametrize("name", ["c2st", "dcr_share"])
def test_rows_that_are_told_apart_more_easily_lose(name):
    old = measured(name, 0.505, 0.50, 0.51, scope="all", ceiling=0.5, direction="lower")
    new = measured(name, 0.515, 0.51, 0.52, scope="all", ceiling=0.5, direction="lower")
    both = [contender(name, item, metrics=TABLES) for name, item in (("n", new), ("o", old))]
    assert not compare(*both, GateConfig()).promote
    assert compare(*reversed(both), GateConfig()).promote


def test_a_share_nearer_to_train_that_cannot_be_known_is_not_promoted():
    item = measured(
        "dcr_share", 0.51, 0.5, 0.52, ceiling=0.5, direction="lower", reals=(0.5, 0.53) * 20
    )
    refused = compare(contender("a", item, metrics=TABLES), None, GateConfig())
    assert "dcr_share of a cannot be known" in refused.reason


def test_a_value_past_its_bound_passes_where_the_interval_reaches_back_to_chance():
    entry = next(entry for entry in IMAGES if entry.key == "near_copies")
    bounds = entry.bounds(0.5)
    assert (bounds.doubt, bounds.pass_high, bounds.block_high) == (0.5, 0.55, 0.58)
    found = {
        name: judge(evaluation(measured("near_copies", *values, ceiling=0.5)), IMAGES, GateConfig())
        for name, values in {
            "chance": (0.56, 0.49, 0.63),
            "some": (0.58, 0.54, 0.63),
            "many": (0.75, 0.7, 0.8),
        }.items()
    }
    assert [found[name].verdict for name in found] == ["pass", "warn", "block"]
    (reason,) = found["chance"].reasons
    assert "the lower end 0.49 is not above 0.5, so that it passes" in reason.text
