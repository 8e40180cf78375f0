"""Truncation: latents as of a normal distribution cut off at both sides."""

import torch
from scipy.stats import kstest, truncnorm

from gan.protocols import Generator
from gan.sample import draw_latents


def test_latents_are_those_of_a_truncated_normal(tiny):
    config = tiny.model_copy(update={"truncation": 0.7, "latent": 40, "latent_spread": 1.1})
    latents = draw_latents(Generator(), config, 500, torch.Generator().manual_seed(1))
    assert latents.abs().max() <= 0.7
    bound = 0.7 / 1.1
    expected = truncnorm(-bound, bound, scale=1.1)
    assert kstest(latents.flatten()[:5000].numpy(), expected.cdf).pvalue > 0.01
