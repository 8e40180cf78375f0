"""The check of a GPU: on a processor every step does the same; without a device it says so."""

import json

import pytest
import torch

from benchmarks import gpu_check

STEPS = {
    "train",
    "resume",
    "sampling",
    "out_of_memory",
    "speed_up",
    "bfloat16",
    "execution",
    "two_devices",
}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_it_says_so_in_one_sentence(tmp_path, capsys):
    out = tmp_path / "found.json"
    assert gpu_check.main(["--out", str(out)]) == 2
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "There is no CUDA device here, so nothing was checked: run it where there is one"
    ]
    assert not out.exists()


def check(folder, device):
    out = folder / "found.json"
    code = gpu_check.main(["--device", device, "--out", str(out)])
    found = json.loads(out.read_text())
    failed = {name: step for name, step in found["steps"].items() if not step["ok"]}
    assert not failed, failed
    assert code == 0
    assert found["ok"] is True
    assert set(found["steps"]) == STEPS
    return found


@pytest.mark.full
def test_every_step_runs_on_a_processor(tmp_path):
    steps = check(tmp_path, "cpu")["steps"]
    assert steps["resume"]["repeats_to_the_bit"]
    assert steps["resume"]["resumes_to_the_bit"]
    assert steps["train"]["mlp"]["apart_from_cpu"] == 0
    assert steps["sampling"]["share_of_values_within_1"] == 1
    assert steps["out_of_memory"]["said"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_every_step_is_as_it_should_be_on_a_gpu(tmp_path):
    assert check(tmp_path, "cuda")["seconds"] < 240


@pytest.mark.parametrize("fault", ["raises", "says no"])
def test_a_step_that_fails_fails_the_check_and_leaves_the_others(fault, tmp_path, monkeypatch):
    def wrong(_):
        if fault == "raises":
            raise RuntimeError(fault)
        return {"ok": False}

    def right(_):
        return {"ok": True}

    monkeypatch.setattr(gpu_check, "STEPS", {"wrong": wrong, "right": right})
    out = tmp_path / "found.json"
    assert gpu_check.main(["--device", "cpu", "--out", str(out)]) == 1
    found = json.loads(out.read_text())
    assert found["ok"] is False
    assert [found["steps"][name]["ok"] for name in ("wrong", "right")] == [False, True]
    assert ("error" in found["steps"]["wrong"]) == (fault == "raises")


def test_what_does_not_begin_in_time_is_no_success(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_check, "STEPS", {"late": lambda _: {"ok": True}})
    out = tmp_path / "found.json"
    assert gpu_check.main(["--device", "cpu", "--limit", "-1", "--out", str(out)]) == 1
    assert "left_out" in json.loads(out.read_text())["steps"]["late"]
