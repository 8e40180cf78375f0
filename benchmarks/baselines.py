"""Generators of tables that a judge must refuse: baselines for tests and benchmarks, not for users.

`independent` draws every column by itself and knows nothing of pairs. `bootstrap` draws training
rows with replacement; its weights ARE training rows, so no snapshot of it may leave the machine.
`register()` lets `generator.preset` name both in this process.

Shapes: N rows, D columns, R training rows, K codes of all columns side by side, Z latent.
"""

import torch
from torch import Tensor, nn

from gan.config import ResolvedConfig
from gan.presets import Preset
from gan.protocols import Networks
from gan.tables.codec import TableCodec
from gan.tables.networks import BUILDERS as NETWORKS
from gan.tables.networks.adversarial import CodeCounts, CodeGenerator, draw_codes, one_hot
from gan.tables.presets import BUILDERS

BASELINES = ("independent", "bootstrap")

CERTAIN = 60.0
"""Logit of a row's own code over the others of its column."""


def register() -> None:
    """Add presets and networks of the baselines to those of this process."""
    BUILDERS.update(independent=independent, bootstrap=bootstrap)
    NETWORKS.update(independent=build_independent, bootstrap=build_bootstrap)


def independent(codec: TableCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001
    """Return one logit per code, which large steps bring to the frequencies."""
    return Preset(
        objective="likelihood",
        network={"kind": "independent"},
        batch_size=512,
        learning_rate=0.05,
        rate_fall=0.01,
        beta1=0.9,
        beta2=0.999,
    )


def bootstrap(codec: TableCodec, device: str, train_rows: int) -> Preset:  # noqa: ARG001
    """Return room for all training rows; they are seen once."""
    return Preset(
        objective="likelihood",
        network={"kind": "bootstrap", "rows": train_rows},
        batch_size=1_024,
        learning_rate=1.0,
        budget_samples=train_rows,
        ticks=1,
    )


class Independent(CodeGenerator):
    """One logit per code, whatever the other columns are; trained by likelihood.

    Conditions change the columns that they name and no other: that is what independence means.
    """

    has_likelihood = True

    def __init__(self, counts: tuple[int, ...], latent: int) -> None:
        super().__init__(counts, latent)
        self.logits_K = nn.Parameter(torch.zeros(sum(counts), device="cpu"))

    def draw_free(self, normal_NZ: Tensor, uniforms_NU: Tensor) -> Tensor:
        """Return code + position, float64 (N, D); the normal numbers are of no use."""
        return draw_codes(self.logits_K.expand(len(normal_NZ), -1), uniforms_NU, self.counts)

    def draw_allowed(self, normal_NZ: Tensor, uniforms_NU: Tensor, allowed_NK: Tensor) -> Tensor:
        """Return the same of codes that are allowed, by their shares among those."""
        del normal_NZ
        logits_NK = torch.where(allowed_NK, self.logits_K, -torch.inf)
        return draw_codes(logits_NK, uniforms_NU, self.counts)

    def log_likelihood(self, samples: Tensor, labels_N: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Return the nats of `codes_ND`, shape (N,): the sum over the columns."""
        columns = [
            torch.log_softmax(logits_k, dim=0) for logits_k in self.logits_K.split(self.counts)
        ]
        return torch.cat(columns)[samples + self.first_D].sum(1)

    def loss(
        self,
        samples: Tensor,
        labels_N: Tensor,  # noqa: ARG002 - same
        stream: torch.Generator,  # noqa: ARG002 - same
    ) -> Tensor:
        """Return the mean negative log-likelihood of `codes_ND`."""
        return -self.log_likelihood(samples).mean()


def build_independent(
    config: ResolvedConfig,
    codec: CodeCounts,
    stream: torch.Generator,  # noqa: ARG001 - a builder
) -> Networks:
    """Return the generator; every code starts as likely as every other of its column."""
    return Networks(Independent(codec.code_counts, config.latent), None)


class Bootstrap(CodeGenerator):
    """Rows as they were, the position inside a code drawn anew.

    Training keeps the first R rows that it sees. Under conditions a row is drawn from those that
    meet them all; when none does, from those that meet most, and the columns that fail get an
    allowed code.
    """

    rows_RD: Tensor
    kept: Tensor

    def __init__(self, counts: tuple[int, ...], latent: int, rows: int) -> None:
        super().__init__(counts, latent)
        self.register_buffer("rows_RD", torch.zeros(rows, len(counts), dtype=torch.int32))
        self.register_buffer("kept", torch.zeros((), dtype=torch.int64))
        self.nothing = nn.Parameter(torch.zeros(1, device="cpu"))

    def loss(
        self,
        samples: Tensor,
        labels_N: Tensor,  # noqa: ARG002 - a generator
        stream: torch.Generator,  # noqa: ARG002 - a generator
    ) -> Tensor:
        """Keep `codes_ND` while there is room, and return a loss that changes no weight."""
        position = int(self.kept)
        new_ND = samples[: len(self.rows_RD) - position]
        self.rows_RD[position : position + len(new_ND)] = new_ND.int()
        self.kept += len(new_ND)
        return self.nothing.sum()

    def draw_free(self, normal_NZ: Tensor, uniforms_NU: Tensor) -> Tensor:
        """Return rows as they were, and new positions."""
        rows_N = _choose(normal_NZ, self.known())
        return self.rows_RD[rows_N].long() + uniforms_NU.double()

    def draw_allowed(self, normal_NZ: Tensor, uniforms_NU: Tensor, allowed_NK: Tensor) -> Tensor:
        """Return rows that meet the most conditions, and allowed codes where they fail."""
        known_B, codes_RD = self.known(), self.rows_RD.long() + self.first_D
        conditions_CK, which_N = torch.unique(allowed_NK, dim=0, return_inverse=True)
        rows_N = torch.empty_like(which_N)
        for index, allowed_K in enumerate(conditions_CK):
            met_B = allowed_K[codes_RD[known_B]].sum(1)
            mine_N = which_N == index
            rows_N[mine_N] = _choose(normal_NZ[mine_N], known_B[met_B == met_B.max()])
        logits_NK = one_hot(self.rows_RD[rows_N].long(), self.counts) * CERTAIN
        return draw_codes(logits_NK.masked_fill(~allowed_NK, -torch.inf), uniforms_NU, self.counts)

    def known(self) -> Tensor:
        """Return the numbers of the rows that are kept."""
        return torch.arange(int(self.kept), device=self.kept.device)


def _choose(normal_NZ: Tensor, rows_B: Tensor) -> Tensor:
    """Return one of the rows for each normal number, every one as likely."""
    uniform_N = torch.special.ndtr(normal_NZ[:, 0].double()).clamp(0, 1 - 2**-40)
    return rows_B[(uniform_N * len(rows_B)).long()]


def build_bootstrap(
    config: ResolvedConfig,
    codec: CodeCounts,
    stream: torch.Generator,  # noqa: ARG001 - a builder
) -> Networks:
    """Return the generator, empty."""
    rows = int(config.network["rows"])
    return Networks(Bootstrap(codec.code_counts, config.latent, rows), None)
