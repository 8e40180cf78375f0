"""Training until targets are reached."""

import pytest

from gan.bounds import MetricEntry
from gan.config import GeneratorConfig, TrainingConfig
from gan.errors import ConfigError
from gan.modalities import load_modality
from gan.protocols import Assessment, Hooks
from gan.targets import check_until, reached, targets
from gan.training.loop import train

METRICS = (
    MetricEntry(
        name="coverage", meaning="", unit="", direction="higher", ticks=("coverage_ratio",)
    ),
    MetricEntry(name="fd", meaning="", unit="", direction="lower", ticks=("fd_ratio",)),
    MetricEntry(name="density", meaning="", unit="", direction="target", ticks=("density_ratio",)),
    MetricEntry(name="kid", meaning="", unit="", direction="lower"),
)


def assessment(rank=1.0, **metrics):
    return Assessment(metrics=metrics, rank=rank, copies=0.05, full_coverage=False)


def test_a_metric_is_named_by_itself_or_as_a_tick_shows_it():
    assert set(targets(METRICS)) == {"coverage", "coverage_ratio", "fd", "fd_ratio"}
    check_until(["coverage", "fd_ratio"], METRICS, classes=2)
    with pytest.raises(ConfigError, match=r"no target 'density'.*choose of coverage, cov"):
        check_until(["density"], METRICS, classes=2)
    with pytest.raises(ConfigError, match="two targets for fd_ratio: leave one"):
        check_until(["fd", "fd_ratio"], METRICS, classes=2)


def test_what_classes_alone_have_is_refused_without_them():
    metrics = load_modality("images").metrics
    check_until(["label_accuracy", "worst_class_ratio"], metrics, classes=2)
    for name in ("label_accuracy", "worst_class_ratio"):
        with pytest.raises(ConfigError, match=f"no target '{name}' for these records") as refusal:
            check_until([name], metrics, classes=0)
        assert "label_accuracy" not in str(refusal.value).split("choose of", 1)[1]


def test_targets_of_images_are_known_and_others_refused(codec):
    for until in ({"coverage": 0.95, "fd_ratio": 2, "label_accuracy": 0.9}, {"nonsense": 1.0}):
        training = TrainingConfig(until=until, device="cpu")

        def resolve(training=training):
            return load_modality("images").resolve(
                GeneratorConfig(), training, codec, train_rows=300, seed=0
            )

        if "nonsense" in until:
            with pytest.raises(ConfigError, match="no target 'nonsense' for these records"):
                resolve()
        else:
            assert resolve().until == until


def test_all_targets_count_each_on_its_side():
    until = {"coverage": 0.9, "fd": 2.0}
    assert reached({}, assessment(), METRICS) is None
    assert reached(until, assessment(coverage_ratio=0.9, fd_ratio=2.1), METRICS) is None
    assert reached(until, assessment(coverage_ratio=0.8, fd_ratio=1.0), METRICS) is None
    found = reached(until, assessment(coverage_ratio=0.91, fd_ratio=2.0), METRICS)
    assert found == "coverage 0.91 (at least 0.9), fd 2 (at most 2)"


def test_a_target_that_these_records_do_not_have():
    with pytest.raises(ConfigError, match="'fd', which is not measured on these records: choose"):
        reached({"fd": 2.0}, assessment(coverage_ratio=0.9), METRICS)


def test_training_ends_when_they_are_reached_and_ships_what_reached_them(
    tiny, codec, digits, tmp_path
):
    found = iter([(0.5, 0.7), (1.0, 0.8), (2.0, 0.96)])

    def assess(sample, samples_seen):
        del sample, samples_seen
        rank, coverage = next(found)
        return assessment(rank, coverage_ratio=coverage)

    config = tiny.model_copy(update={"until": {"coverage": 0.95}})
    result = train(config, codec, digits, tmp_path, hooks=Hooks(assess=assess), device="cpu")
    assert result.samples_seen == result.best_samples_seen == 480
    texts = [event.text for event in result.events]
    assert any("targets of training.until: coverage 0.96 (at least 0.95)" in text for text in texts)
