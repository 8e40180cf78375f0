"""Arithmetic inside and outside of the training step."""

import torch

from gan.device import DeviceContext, one_thread, one_thread_everywhere

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
