"""The adversarial loss: relativistic pairing (RpGAN).

L(D, G) = E[f(D(G(z)) - D(x))] with f(t) = softplus(t) minimised by the discriminator, and the same
with both signs turned by the generator: each fake is judged against its own real, so no mode of the
data can be given up for free. Huang et al., "The GAN is dead; long live the GAN!" (R3GAN, 2024),
equation 2; first in
Jolicoeur-Martineau, "The relativistic discriminator" (2018).
"""

from torch import Tensor
from torch.nn.functional import softplus


def discriminator_loss(real_logits_N: Tensor, fake_logits_N: Tensor) -> Tensor:
    """Return the mean loss of the discriminator over pairs of one real and one fake."""
    return softplus(fake_logits_N - real_logits_N).mean()


def generator_loss(real_logits_N: Tensor, fake_logits_N: Tensor) -> Tensor:
    """Return the mean loss of the generator over the same pairs."""
    return softplus(real_logits_N - fake_logits_N).mean()
