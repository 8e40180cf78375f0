import numpy as np
import pytest
import torch

from gan.images.orthogonal import OrthogonalSteps, orthogonalised


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16)])
def test_every_direction_gets_about_the_same_length(shape):
    """A gradient in which one direction is a hundred times another's."""
    random = np.random.default_rng(0)
    left, _, right = np.linalg.svd(random.normal(size=shape), full_matrices=False)
    spread = np.geomspace(1, 0.01, min(shape))
    found = orthogonalised(torch.from_numpy(left * spread @ right))
    values = np.linalg.svd(found.numpy(), compute_uv=False)
    assert found.shape == shape
    assert 0.5 < values.min() < values.max() < 1.3


def test_weights_keep_their_size_and_go_down_the_gradient():
    weight = torch.nn.Parameter(torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(0)))
    still = torch.nn.Parameter(torch.ones(3, 3))
    wanted = -weight.detach().clone()
    steps = OrthogonalSteps([weight, still])
    before = (weight * wanted).sum().item()
    for _ in range(5):
        weight.grad = -wanted.clone()
        steps.step(0.1)
    assert (weight * wanted).sum().item() > before
    assert weight.norm().item() == pytest.approx(4**0.5, abs=0.3)
    assert torch.equal(still, torch.ones(3, 3)), "what has no gradient stays"


def test_momentum_goes_on_where_a_gradient_turns():
    plain, moving = (torch.nn.Parameter(torch.eye(3)) for _ in range(2))
    steps = OrthogonalSteps([moving])
    moving.grad = torch.eye(3)
    steps.step(0.1)
    for weight, how in ((plain, OrthogonalSteps([plain])), (moving, steps)):
        with torch.no_grad():
            weight.copy_(torch.eye(3))
        weight.grad = -0.1 * torch.eye(3)
        how.step(0.1)
    assert plain[0, 0] > 1 > moving[0, 0]
