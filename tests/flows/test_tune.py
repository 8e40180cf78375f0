"""Tuning with a pretended training: what is tried, kept, resumed, shared, refused and written."""

import dataclasses
import json
import math
import threading
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import pyarrow as pa
import pytest

import flows.tune as stage
from flows import tune_study
from flows.cli import tune as command
from flows.cli.app import execute
from flows.errors import RecipeError
from flows.job import Job
from flows.recipe import load_recipe, parse_recipe
from flows.report.tuning import headline, render_tuning, trial_rows, tuning_markdown
from flows.tune import Tuner, tune
from flows.tune_study import TuneRequest, TuneStudy
from flows.tune_trial import WatchedTrial
from gan.errors import (
    ConfigError,
    DataError,
    Interrupted,
    MemoryLimitError,
    NotFiniteError,
    TrainingError,
)
from gan.images.codec import ImageCodec
from gan.protocols import Assessment, Tick
from gan.tuning.study import RunningTrial
from storage.errors import IntegrityError
from storage.lake.layout import numbered_key, study_key, trials_folder
from storage.lake.studies import put_trial, read_trials
from storage.sources.prepared import Prepared
from storage.stores.memory import MemoryStore
from storage.stores.open import open_store

ROWS = pa.table({"x": [1.0]})
PREPARED = Prepared(
    modality="images",
    folder=None,
    source_digest="s",
    split_rule=MappingProxyType({}),
    split_digest="p",
    records=dict.fromkeys(("train", "validation", "holdout"), ROWS),
    label="y",
    schema=ROWS.schema,
    class_counts={},
    rows={"train": 500},
    skipped=(),
    ignored_files=0,
    notes=(),
)
CODEC = ImageCodec(height=8, width=8, channels=1)
REQUEST = TuneRequest(trials=6, budget_s=60)


def rank_of(config):
    """The best learning rate is 2e-3, augmentation helps."""
    miss = abs(math.log(config.learning_rate / 2e-3))
    return 1 + miss + 0.5 * (not config.augment)


def assessed(found, sample, samples_seen):
    """Say what was found, whatever is asked."""
    return found


@dataclass
class Pretended:
    """Trains nothing; its ranks fall over three ticks to that of the configuration."""

    asked: list = field(default_factory=list)
    """(number, configuration) of every training, in turn."""
    before: object = None
    """Called with the number before each."""
    rank: object = rank_of

    def train(self, config, folder, watched):
        if self.before is not None:
            self.before(watched.trial.number, folder)
        self.asked.append((watched.trial.number, config))
        for part in (1, 2, 3):
            level = self.rank(config) * (2 - part / 3)
            found = Assessment(
                metrics={}, rank=7.0, copies=0.1, full_coverage=True, gate_rank=level
            )
            watched.assess = partial(assessed, found)
            watched.measure(None, 100 * part)
            told = {"samples_per_s": 1.0, "metrics": {}, "cpu_s": 2.0 * part, "seconds": 3.0 * part}
            watched.on_tick(Tick(samples_seen=100 * part, progress=part / 3, **told))
        return SimpleNamespace(best_samples_seen=300, samples_seen=300, seconds=9.0, cpu_s=6.0)

    @property
    def numbers(self):
        return [number for number, _ in self.asked]


@pytest.fixture
def pretended(monkeypatch):
    made = Pretended()
    monkeypatch.setattr(Tuner, "train", lambda _, *given: made.train(*given))
    monkeypatch.setattr(Tuner, "assess", None)
    monkeypatch.setattr(tune_study, "fit_and_resolve", lambda *_: (CODEC, None))
    return made


def job_on(lake, folder, **sections):
    raw = {"name": "n", "source": {"uri": "x", "label": "y"}} | sections
    return Job(
        recipe=parse_recipe(raw),
        lake=lake,
        lake_profile=None,
        work=Path(folder),
        scheduled=date(2026, 1, 3),
    )


def stored(lake):
    """Return the objects of the trials, by number."""
    return {
        info.key.rpartition("/")[2]: lake.get(info.key)
        for info in lake.list("runs/")
        if "/trials/" in info.key
    }


def test_trials_are_made_kept_and_compared_on_the_scale_that_all_share(tmp_path, pretended):
    lake = MemoryStore()
    found = tune(job_on(lake, tmp_path), PREPARED, REQUEST)
    assert pretended.numbers == [1, 2, 3, 4, 5, 6]
    assert list(stored(lake)) == [f"{number:08d}.json" for number in range(1, 7)]
    result = found.result
    assert result.baseline.settings == {}
    assert result.baseline.rank == pytest.approx(rank_of(pretended.asked[0][1]))
    ranks = [one.rank for one in result.trials if one.rank is not None]
    assert result.best.rank == min(ranks) < 7, "by gate_rank, not by what chose the snapshot"
    assert {config.budget_cpu_s for _, config in pretended.asked} == {10.0}
    assert {config.budget_samples for _, config in pretended.asked} == {None}
    assert all(one.samples_seen and one.cpu_s and one.seconds for one in result.trials)
    study = json.loads(lake.get(study_key(result.study)))
    assert study["format"] == "ganmill-study/1"
    assert set(study["space"]) >= {"generator.preset", "generator.learning_rate"}
    assert lake.get(found.report_key) == found.page == render_tuning(result).encode()


def test_what_is_trained_is_what_the_settings_say(tmp_path, pretended):
    job = job_on(MemoryStore(), tmp_path)
    result = tune(job, PREPARED, TuneRequest(trials=12, budget_s=120)).result
    trained = [one for one in result.trials if one.state != "refused"]
    for one, (_, config) in zip(trained, pretended.asked, strict=True):
        assert one.settings.get("generator.preset", "autoregressive") == config.preset
        assert one.settings.get("training.batch_size", config.batch_size) == config.batch_size
        rate = one.settings.get("generator.learning_rate", config.learning_rate)
        assert rate == config.learning_rate
        assert not config.augment or one.settings.get("generator.augment") != "off"


def test_run_again_it_goes_on_where_it_was_and_a_larger_number_adds(tmp_path, pretended):
    lake = MemoryStore()
    job = job_on(lake, tmp_path)
    once = tune(job, PREPARED, REQUEST)
    again = tune(job, PREPARED, REQUEST)
    assert (again.made, again.result, again.page) == (0, once.result, once.page)
    assert len(pretended.asked) == 6
    more = tune(job, PREPARED, TuneRequest(trials=9, budget_s=90))
    assert more.made == 3
    assert pretended.numbers == list(range(1, 10))
    assert more.result.trials[:6] == once.result.trials


@pytest.mark.parametrize("end", [Interrupted("stop"), KeyboardInterrupt()])
def test_killed_half_way_the_trial_is_made_again_and_the_result_is_the_same(
    tmp_path, pretended, end
):
    whole = tune(job_on(MemoryStore(), tmp_path / "a"), PREPARED, REQUEST).result
    lake, job = MemoryStore(), job_on(MemoryStore(), tmp_path / "b")
    job = job_on(lake, tmp_path / "b")
    pretended.asked.clear()

    def kill(number, folder):
        folder.mkdir(parents=True)
        (folder / "half").touch()
        if number == 4:
            raise end

    pretended.before = kill
    with pytest.raises(type(end)):
        tune(job, PREPARED, REQUEST)
    assert len(stored(lake)) == 3
    left = next((tmp_path / "b" / "tuning").rglob("half"), None)
    assert left is None
    pretended.before = lambda _, folder: folder.mkdir(parents=True)
    found = tune(job, PREPARED, REQUEST)
    assert found.made == 3
    assert found.result == whole


def test_two_processes_of_a_machine_share_the_trials(tmp_path, pretended):
    lake = open_store(str(tmp_path / "lake"))
    together = threading.Barrier(2, timeout=20)

    def meet(number, _):
        if number <= 2:
            together.wait()

    pretended.before = meet
    found = []
    workers = [
        threading.Thread(
            target=lambda: found.append(tune(job_on(lake, tmp_path), PREPARED, REQUEST))
        )
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert sorted(pretended.numbers) == [1, 2, 3, 4, 5, 6]
    assert found[0].result == found[1].result
    assert sum(one.made for one in found) == 6


def test_of_two_machines_that_made_the_same_trial_the_first_result_stands(tmp_path, pretended):
    lake = MemoryStore()
    job = job_on(lake, tmp_path / "a")
    key = TuneStudy(job=job, prepared=PREPARED, request=REQUEST).key

    def elsewhere(number, _):
        if number == 2:
            theirs = {**json.loads(stored(lake)["00000001.json"]), "number": 2, "rank": 0.5}
            theirs.pop("format")
            put_trial(lake, key, 2, theirs)

    pretended.before = elsewhere
    result = tune(job, PREPARED, REQUEST).result
    assert (result.best.number, result.best.rank) == (2, 0.5)


def test_what_the_recipe_says_stays(tmp_path, pretended):
    said = {"generator": {"preset": "resnet", "gamma": 3.0}, "training": {"batch_size": 32}}
    result = tune(job_on(MemoryStore(), tmp_path, **said), PREPARED, REQUEST).result
    for _, config in pretended.asked:
        assert (config.preset, config.gamma, config.batch_size) == ("resnet", 3.0, 32)
    assert not {key for one in result.trials for key in one.settings} & {
        "generator.preset", "generator.gamma", "training.batch_size",
    }  # fmt: skip


ALL_SAID = {
    "generator": {
        "preset": "mlp", "gamma": 1.0, "learning_rate": 1e-3, "width": 64, "augment": "off",
        "loss": "relativistic", "penalty": "r1-r2",
    },
    "training": {"batch_size": 32},
}  # fmt: skip


def known_settings(raw):
    """Return those that this version's recipe has."""
    from gan.config import GeneratorConfig

    fields = GeneratorConfig.model_fields
    kept = {name: one for name, one in raw["generator"].items() if name in fields}
    return {**raw, "generator": kept}


def test_a_recipe_that_says_everything_has_nothing_to_tune(tmp_path, pretended):
    job = job_on(MemoryStore(), tmp_path, **known_settings(ALL_SAID))
    with pytest.raises(RecipeError, match=r"leave one of generator\.preset, .* at auto"):
        tune(job, PREPARED, REQUEST)


def test_a_pair_that_is_refused_costs_nothing_and_does_not_count(tmp_path, pretended, monkeypatch):
    real = TuneStudy.resolve

    def resolve(self, settings):
        if settings.get("generator.augment") == "off":
            msg = "off does not go"
            raise ConfigError(msg)
        return real(self, settings)

    monkeypatch.setattr(TuneStudy, "resolve", resolve)
    lake = MemoryStore()
    said = {"generator": {"preset": "mlp", "loss": "relativistic", "penalty": "r1-r2"}}
    result = tune(job_on(lake, tmp_path, **said), PREPARED, REQUEST).result
    refused = [one for one in result.trials if one.state == "refused"]
    assert refused
    assert len(pretended.asked) == 6
    assert len(result.trials) == 6 + len(refused) <= REQUEST.most
    assert {one.why for one in refused} == {"off does not go"}
    assert not set(pretended.numbers) & {one.number for one in refused}
    assert "refused: off does not go (trial" in render_tuning(result)


def test_it_ends_where_everything_is_refused_but_the_recipe(tmp_path, pretended, monkeypatch):
    real = TuneStudy.resolve

    def resolve(self, settings):
        if settings:
            msg = "no"
            raise ConfigError(msg)
        return real(self, settings)

    monkeypatch.setattr(TuneStudy, "resolve", resolve)
    result = tune(job_on(MemoryStore(), tmp_path), PREPARED, REQUEST).result
    assert (len(result.trials), pretended.numbers) == (REQUEST.most, [1])
    assert headline(result).startswith("Nothing that was tried is better")


def test_a_training_that_fails_is_a_trial_that_failed(tmp_path, pretended):
    def fail(number, _):
        if number == 2:
            msg = "training left the finite numbers"
            raise NotFiniteError(msg)
        if number == 3:
            msg = "this network has no such width"
            raise ConfigError(msg)

    pretended.before = fail
    result = tune(job_on(MemoryStore(), tmp_path), PREPARED, REQUEST).result
    states = [one.state for one in result.trials]
    assert (states[1], states[2]) == ("failed", "refused")
    assert len([state for state in states if state != "refused"]) == 6


def test_too_little_memory_says_nothing_of_the_settings_and_is_not_kept(tmp_path, pretended):
    def run_out(number, _):
        if number == 2:
            msg = "out of memory"
            raise MemoryLimitError(msg)

    pretended.before = run_out
    lake = MemoryStore()
    with pytest.raises(MemoryLimitError, match="out of memory"):
        tune(job_on(lake, tmp_path), PREPARED, REQUEST)
    assert list(stored(lake)) == ["00000001.json"]


@pytest.mark.parametrize(("second", "kept"), [((8.0, 0.1), 3.0), ((7.0, 0.1), 0.1)])
def test_what_is_finished_counts_only_where_it_is_kept(second, kept):
    asked = [(7.0, 3.0), second]

    def assess(_, __):
        rank, shared = asked.pop(0)
        return Assessment(metrics={}, rank=rank, copies=0.1, full_coverage=True, gate_rank=shared)

    watched = WatchedTrial(RunningTrial(number=1, _study=None), assess)
    for _ in range(2):
        watched.measure(None, 300)
    ended = watched.complete(
        SimpleNamespace(best_samples_seen=300, samples_seen=300, seconds=1.0, cpu_s=1.0)
    )
    assert ended.rank == kept


def test_no_trial_ends_before_its_budget(tmp_path, pretended):
    target = {"metric": "precision", "value": 0.5}
    job = job_on(MemoryStore(), tmp_path, training={"until": [target]})
    study = TuneStudy(job=job, prepared=PREPARED, request=REQUEST)
    assert study.resolve({}).until == {}


def test_a_preset_without_knobs_has_nothing_to_tune(tmp_path, pretended):
    job = job_on(MemoryStore(), tmp_path, generator={"preset": "mixture"})
    with pytest.raises(RecipeError, match="preset 'mixture' has nothing of what tuning would try"):
        tune(job, PREPARED, REQUEST)
    assert pretended.asked == []


def test_it_ends_where_all_there_is_was_tried(tmp_path, pretended):
    said = {
        "generator": {**ALL_SAID["generator"], "augment": "auto"},
        "training": {"batch_size": 32},
    }
    lake, notes = MemoryStore(), []
    job = job_on(lake, tmp_path, **known_settings(said))
    object.__setattr__(job, "reporter", SimpleNamespace(say=notes.append))
    found = tune(job, PREPARED, TuneRequest(trials=20, budget_s=200))
    assert len(stored(lake)) == len(found.result.trials) == found.made < 8
    assert "had all been tried before; tuning ends here" in notes[-1]
    assert not found.result.counts()["refused"]


def test_the_preset_stands_beside_its_numbers(tmp_path, pretended):
    own = "autoregressive"
    pretended.rank = lambda config: rank_of(config) / (9 if config.preset == own else 1)
    asked = TuneRequest(trials=24, budget_s=240)
    result = tune(job_on(MemoryStore(), tmp_path), PREPARED, asked).result
    assert all("generator.preset" in one.settings for one in result.trials[1:])
    mixed = [one for one in result.trials if len(one.settings) > 1]
    assert own in {one.settings["generator.preset"] for one in mixed}, "what auto takes"


def test_a_recipe_whose_network_cannot_be_built_is_refused_as_ever(tmp_path, pretended):
    def refuse(number, _):
        msg = f"number {number} cannot be built"
        raise ConfigError(msg)

    pretended.before = refuse
    lake = MemoryStore()
    with pytest.raises(ConfigError, match="number 1 cannot be built"):
        tune(job_on(lake, tmp_path), PREPARED, REQUEST)
    assert stored(lake) == {}


def test_without_a_usable_snapshot_training_failed(tmp_path, pretended):
    pretended.rank = lambda _: math.inf
    with pytest.raises(TrainingError, match="none of 6 trials of 10 CPU-s had a usable snapshot"):
        tune(job_on(MemoryStore(), tmp_path), PREPARED, REQUEST)


def test_a_trial_worse_than_the_median_is_given_up(tmp_path, pretended):
    pretended.rank = lambda config: 50.0 if config.preset == "resnet" else rank_of(config)
    asked = TuneRequest(trials=14, budget_s=140)
    result = tune(job_on(MemoryStore(), tmp_path), PREPARED, asked).result
    pruned = [one for one in result.trials if one.state == "pruned"]
    assert pruned
    assert {one.why for one in pruned} == {"others were better by then"}
    assert all(one.curve[-1][0] < 1 and one.rank is None for one in pruned)
    assert result.baseline.state == "complete"


@pytest.mark.parametrize(
    ("change", "is_other"),
    [
        ({"generator": {"width": 64}}, True),
        ({"seed": 3}, True),
        ({"training": {"batch_size": 32}}, True),
        ({"training": {"budget_samples": 123}}, False),
        ({"training": {"until": [{"metric": "precision", "value": 0.5}]}}, False),
        ({"output": {"lake": "s3://other/lake"}}, False),
        ({"gate": {"approval": "always"}}, False),
        ({"synthesis": {"samples": 3}}, False),
    ],
)
def test_a_study_is_what_decides_its_trials(tmp_path, pretended, change, is_other):
    def key(**sections):
        job = job_on(MemoryStore(), tmp_path, **sections)
        return TuneStudy(job=job, prepared=PREPARED, request=REQUEST).key

    assert (key() != key(**change)) is is_other


def test_time_source_and_device_make_another_study(tmp_path, pretended, monkeypatch):
    job = job_on(MemoryStore(), tmp_path)

    def key(prepared=PREPARED, request=REQUEST):
        return TuneStudy(job=job, prepared=prepared, request=request).key

    plain = key()
    assert key(request=TuneRequest(trials=12, budget_s=120)) == plain
    assert key(request=TuneRequest(trials=6, budget_s=66)) != plain
    assert key(prepared=dataclasses.replace(PREPARED, source_digest="t")) != plain
    assert key(prepared=dataclasses.replace(PREPARED, split_digest="q")) != plain
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: True)
    on_gpu = TuneStudy(job=job, prepared=PREPARED, request=REQUEST)
    assert on_gpu.key != plain
    assert on_gpu.recipe.training.budget_s == 10.0
    assert on_gpu.recipe.training.budget_cpu_s is None


def test_a_trial_of_another_version_is_named(tmp_path, pretended):
    lake = MemoryStore()
    job = job_on(lake, tmp_path)
    key = TuneStudy(job=job, prepared=PREPARED, request=REQUEST).key
    put_trial(lake, key, 1, {"number": 1, "strange": True})
    with pytest.raises(IntegrityError, match=r"trial 1 of study .* is of another version"):
        tune(job, PREPARED, REQUEST)
    assert read_trials(lake, key)[1]["strange"]
    lake.replace(numbered_key(trials_folder(key), 1), b"{}")
    with pytest.raises(IntegrityError, match="is no ganmill-trial/1 of its"):
        tune(job, PREPARED, REQUEST)


@pytest.mark.parametrize(
    ("trials", "budget_s", "what"),
    [
        (1, 60, "tuning takes 2 to 10,000 trials, not 1"),
        (20_000, 1e9, "not 20000"),
        (20, 10, r"a budget of 10 s gives each of 20 trials 0\.5 s"),
        (20, math.inf, "a budget of inf s"),
        (20, math.nan, "a budget of nan s"),
        (20, -5, "a budget of -5 s"),
    ],
)
def test_too_little_is_refused_in_a_sentence(trials, budget_s, what):
    with pytest.raises(RecipeError, match=what):
        TuneRequest(trials=trials, budget_s=budget_s)


def test_records_that_nothing_is_tuned_of_are_refused(tmp_path, pretended, with_vectors):
    job = job_on(MemoryStore(), tmp_path)
    prepared = dataclasses.replace(PREPARED, modality="vectors")
    with pytest.raises(ConfigError, match="vectors have no settings that tuning tries"):
        tune(job, prepared, REQUEST)


def test_the_cost_is_said_first(tmp_path, pretended):
    said = []
    job = job_on(MemoryStore(), tmp_path)
    object.__setattr__(job, "reporter", SimpleNamespace(say=said.append))
    pretended.before = lambda *_: said.append("training")
    tune(job, PREPARED, REQUEST)
    assert said[0].startswith(
        "About 6 trials x 10 CPU-s of training = 60 CPU-s on cpu; preparing, and finishing what is "
        "trained, come on top. Tried: "
    )
    assert said[1] == "training"
    tune(job, PREPARED, TuneRequest(trials=8, budget_s=80))
    assert "= 80 CPU-s on cpu; 6 are done; preparing" in next(
        text for text in said if "80 CPU-s" in text
    )


RECIPE = """\
# of the shop
name: n
source: {uri: x, label: y}   # real
training:
  budget_samples: 5000       # as ever
seed: 4
"""


@pytest.fixture
def place(tmp_path, monkeypatch, pretended):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "prepare", lambda _: PREPARED)
    pretended.rank = lambda config: 99.0 if len(pretended.asked) == 1 else rank_of(config)
    Path("shop.yaml").write_text(RECIPE, encoding="utf-8")
    return tmp_path


TUNE = ("tune", "shop.yaml", "--trials", "6", "--budget-s", "60")


def test_the_command_shows_every_trial_and_writes_recipe_and_page(place, capsys):
    assert execute(TUNE) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert [line.split()[0] for line in lines[:7]] == ["trial", *"123456"]
    assert "CPU-s" in lines[0]
    assert "is the best: rank" in shown.out
    assert "Recipe    shop.tuned.yaml\n" in shown.out
    assert "About 6 trials x 10 CPU-s" in shown.err
    assert "; 6 made now, 0 from the lake\n" in shown.out
    text = Path("shop.tuned.yaml").read_text(encoding="utf-8")
    assert text.startswith("# Tuned by ganmill tune: trial ")
    assert "# of the shop" in text
    assert "# as ever" in text
    before, after = load_recipe(Path("shop.yaml")), load_recipe(Path("shop.tuned.yaml"))
    assert before.source == after.source
    assert before.seed == after.seed
    assert before.training.budget_samples == after.training.budget_samples
    assert before.generator != after.generator
    page = Path("n-tune.html").read_text(encoding="utf-8")
    assert page.count("<figure") >= 1
    assert "best so far" in page


def test_run_again_it_says_that_it_replaces_its_own_recipe(place, capsys):
    assert execute(TUNE) == 0
    first = Path("shop.tuned.yaml").read_text(encoding="utf-8")
    capsys.readouterr()
    assert execute([*TUNE, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["made"], found["recipe"]) == (0, "shop.tuned.yaml")
    assert Path("shop.tuned.yaml").read_text(encoding="utf-8") == first
    assert execute(TUNE) == 0
    again = capsys.readouterr().out
    assert "Recipe    shop.tuned.yaml, replaced\n" in again
    assert "; 0 made now, 6 from the lake\n" in again


def test_json_has_all_that_is_shown(place, capsys):
    assert execute([*TUNE, "--json", "--output", "best.yaml", "--report", "r.html"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["trials"]) == 6
    assert found["best"]["rank"] == min(
        one["rank"] for one in found["trials"] if one["rank"] is not None
    )
    assert found["as_it_is"]["number"] == 1
    assert found["counts"]["complete"] + found["counts"]["pruned"] == 6
    assert (found["recipe"], found["report"]) == ("best.yaml", "r.html")
    assert found["report_in_lake"].startswith("lake/runs/")
    assert Path("best.yaml").exists()
    assert Path("r.html").exists()
    assert {"cost", "importance", "study", "trial_s", "device"} <= set(found)


def test_the_tuned_recipe_has_what_set_changed(place, capsys):
    assert execute([*TUNE, "--set", "generator.width=48", "--set", "seed=9"]) == 0
    after = load_recipe(Path("shop.tuned.yaml"))
    assert (after.generator.width, after.seed) == (48, 9)


def test_where_the_recipe_itself_is_best_none_is_written(place, pretended, capsys):
    pretended.rank = lambda _: 1.0 if len(pretended.asked) == 1 else 2.0
    assert execute(TUNE) == 0
    shown = capsys.readouterr().out
    assert "Nothing that was tried is better than the recipe as it is: rank 1.000" in shown
    assert "Recipe    none" in shown
    assert not Path("shop.tuned.yaml").exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--trials", "1"), "tuning takes 2 to 10,000 trials, not 1"),
        (("--budget-s", "0.5"), "a budget of 0.5 s gives each of 6 trials"),
        (("--output", "no/where.yaml"), "the folder of --output 'no/where.yaml' does not exist"),
        (("--report", "no/where.html"), "the folder of --report 'no/where.html' does not exist"),
        (("--report", "page.txt"), "name a file that ends in .html"),
        (("--report", "mine.html"), "exists and was not written by ganmill: name another file"),
        (("--report", "dir.html"), "--report 'dir.html' is a folder: name a file"),
        (
            ("--output", "one.html", "--report", "./one.html"),
            "--report and --output are both 'one.html': name two files",
        ),
        (("--output", "shop.yaml"), "exists and was not written by ganmill tune"),
        (("--set", "generator.preset=nosuch"), "unknown preset 'nosuch' for images"),
        (("--set", "training.batch=2"), "training.batch` is unknown"),
    ],
)
def test_bad_input_is_one_sentence_before_anything_is_trained(
    place, pretended, capsys, monkeypatch, words, what
):
    monkeypatch.setattr(tune_study, "fit_and_resolve", real_resolve)
    Path("mine.html").write_text("<p>mine</p>", encoding="utf-8")
    Path("dir.html").mkdir()
    assert execute([*TUNE, *words]) == 2
    assert Path("mine.html").read_text(encoding="utf-8") == "<p>mine</p>"
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: ")
    assert what in said
    assert pretended.asked == []
    assert Path("shop.yaml").read_text(encoding="utf-8") == RECIPE


def real_resolve(recipe, prepared):
    """Resolve as `flows.train` does, for a codec that is there."""
    from gan.images.presets import resolve

    resolve(recipe.generator, recipe.training, CODEC, train_rows=500, seed=0)
    return CODEC, None


def test_somebody_s_file_is_not_overwritten(place, pretended, capsys):
    Path("shop.tuned.yaml").write_text("name: mine\n", encoding="utf-8")
    assert execute(TUNE) == 2
    assert "name another file, or remove it" in capsys.readouterr().err
    assert pretended.asked == []
    assert Path("shop.tuned.yaml").read_text(encoding="utf-8") == "name: mine\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [(DataError("validation is too small"), 4), (Interrupted("stop"), 130)],
)
def test_exit_codes(place, pretended, error, code):
    def fail(*_):
        raise error

    pretended.before = fail
    assert execute(TUNE) == code


def test_it_says_when_no_trial_is_usable(place, pretended, capsys):
    pretended.rank = lambda _: math.inf
    assert execute(TUNE) == 6
    assert "none of 6 trials of 10 CPU-s had a usable snapshot" in capsys.readouterr().err


def test_the_page_has_history_and_importance_and_names_nobody(tmp_path, pretended):
    asked = TuneRequest(trials=16, budget_s=160)
    result = tune(job_on(MemoryStore(), tmp_path), PREPARED, asked).result
    page = render_tuning(result)
    assert page.count("<figure") == 2
    assert "figure-lines" in page
    assert "figure-bars" in page
    assert "PED-ANOVA" in page
    assert page == render_tuning(result)
    assert len(trial_rows(result)) == len(result.trials)
    text = tuning_markdown(result, "lake/page.html", "http://127.0.0.1/x")
    assert text.startswith("# Tuning of `n`")
    assert "```yaml\ngenerator:\n" in text
    assert "[open it](http://127.0.0.1/x)" in text
    few = render_tuning(tune(job_on(MemoryStore(), tmp_path), PREPARED, REQUEST).result)
    assert "Importance is told from 8 trained trials on." in few
    assert stage.tune is tune
