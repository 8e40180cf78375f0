"""Arithmetic inside and outside of the training step."""

import pytest
import torch

from gan import device
from gan.device import (
    DeviceContext,
    exact_products,
    executed,
    memory_trouble,
    one_thread,
    one_thread_everywhere,
    quick_products,
)

DENORMAL = 5e-324


def is_flushed():
    """Say whether the smallest double counts as zero."""
    number = torch.tensor([DENORMAL], dtype=torch.float64)
    return bool((number + 0.0).item() == 0.0)


def test_training_arithmetic_is_set_only_for_the_block():
    before = torch.get_float32_matmul_precision()
    with DeviceContext(device=torch.device("cpu"), precision="bfloat16-products").configured():
        assert torch.get_float32_matmul_precision() == "medium"
        assert is_flushed()
    assert torch.get_float32_matmul_precision() == before
    assert not is_flushed()


def test_measuring_is_plain_and_training_goes_on_as_before():
    place = DeviceContext(device=torch.device("cpu"), precision="bfloat16-products")
    with place.configured():
        with place.measuring():
            assert torch.get_float32_matmul_precision() == "highest"
            assert not is_flushed()
        assert torch.get_float32_matmul_precision() == "medium"
        assert is_flushed()


def test_one_thread_gives_the_others_back():
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_one_thread_everywhere_holds_numpys_products_too():
    from threadpoolctl import threadpool_info, threadpool_limits

    with threadpool_limits(limits=3):
        with one_thread_everywhere():
            assert torch.get_num_threads() == 1
            assert {pool["num_threads"] for pool in threadpool_info()} == {1}
        assert 3 in {pool["num_threads"] for pool in threadpool_info()}


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("none left"),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("not enough memory"),
    ],
)
@pytest.mark.parametrize("is_gpu", [True, False])
def test_where_memory_ends_the_devices_is_given_back(error, is_gpu, monkeypatch):
    given = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_gpu)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: given.append(1))
    with memory_trouble() as trouble:
        raise error
    assert trouble == [str(error)]
    assert len(given) == is_gpu
    with memory_trouble() as trouble:
        pass
    assert not trouble
    assert len(given) == is_gpu


def test_other_errors_are_no_memory_trouble():
    with pytest.raises(RuntimeError, match="size"), memory_trouble():
        torch.ones(2) @ torch.ones(3)


def test_what_is_sent_to_cuda_is_pinned_and_does_not_wait(monkeypatch):
    calls = []

    class Sent:
        def pin_memory(self):
            calls.append("pinned")
            return self

        def to(self, place, *, non_blocking):
            calls.append((place.type, non_blocking))
            return self

    sent = Sent()
    assert DeviceContext(device=torch.device("cuda")).send(sent) is sent
    assert calls == ["pinned", ("cuda", True)]
    assert DeviceContext(device=torch.device("cpu")).send(sent) is sent
    assert len(calls) == 2


@pytest.mark.parametrize("is_quick", [True, False])
def test_products_are_quick_where_the_device_is(is_quick, monkeypatch):
    monkeypatch.setattr(device, "fast_bfloat16", lambda _: is_quick)
    one = torch.ones(2, 2)
    with quick_products():
        assert (one @ one).dtype == (torch.bfloat16 if is_quick else torch.float32)
        with exact_products(one):
            assert (one @ one).dtype == torch.float32
    place = DeviceContext(device=torch.device("cpu"), precision="bfloat16")
    with place.autocast():
        assert (one @ one).dtype == torch.bfloat16


def test_a_pass_is_executed_as_it_is_or_as_torch_compiles_it(monkeypatch):
    asked = []

    def compiled(call, **how):
        asked.append(how)
        return lambda *given: call(*given) + 1

    monkeypatch.setattr(torch, "compile", compiled)
    assert executed(max, "eager") is max
    assert not asked
    assert executed(max, "compiled")(1, 2) == executed(max, "graphs")(1, 2) == 3
    modes = [one["mode"] for one in asked]
    assert modes == ["default", "reduce-overhead"]
    assert not any(one["dynamic"] for one in asked)
