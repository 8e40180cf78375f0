"""The weights of the network of series, and what training and sampling both compute of them.

Shapes: N entities, L steps, D variables, E columns of the whole entity, H units of the backbone, U
units of a variable, S numbers of the context, P numbers seen of a value, M steps, K codes of one
variable, W kinds of them, B rows of the basis.
"""

from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.config import ResolvedConfig
from gan.protocols import Generator
from gan.series.codec import SeriesCodec
from gan.series.columns.relations import History
from gan.series.columns.variables import FEW_CODES, Coder, Reached
from gan.series.networks.backbone import Backbone
from gan.series.networks.steps import StepInputs
from gan.series.networks.whole import build_whole
from gan.tables.networks.masked import BIAS_SCALE, Basis

CONTEXT: Final = 32
"""Numbers that say of a step when it is and of whom."""
RUNS: Final = 64
"""Steps since a change that are told apart one by one."""
LEAST_SHARE: Final = 1e-4
"""A code that no step has is drawn so often before the first step of training."""


class StepWeights(NamedTuple):
    """The weights of all variables, as products use them."""

    vectors_KE: Tensor
    inner_PU: Tensor
    """What units see of the variables before their own."""
    outputs_KU: Tensor
    bias_K: Tensor


class StepNetwork(Generator):
    """What is known of whole entities, a backbone over steps, and units of every variable."""

    static_D: Tensor
    """Which columns of the whole entity, in the network's order, are statics."""
    inner_mask: Tensor
    after_gap: Tensor

    def __init__(self, config: ResolvedConfig, codec: SeriesCodec) -> None:
        super().__init__()
        network, self.codec = config.network, codec
        self.whole = build_whole(config, codec)
        self.inputs = StepInputs(codec, CONTEXT)
        D, P = self.inputs.variables, self.inputs.per_value
        H, U = int(network["width"]), int(network["units"])
        self.units, self.dropout = U, float(network["dropout"])
        self.window, self.warm_up = int(network["window"]), int(network["warm_up"])
        columns = [codec.whole.columns[index] for index in self.whole.layout.order]
        static = [not set(each.fields) & set(codec.names) for each in columns]
        self.register_buffer("static_D", torch.tensor(static).nonzero()[:, 0], persistent=False)
        self.statics_BS = nn.Parameter(torch.empty(self.whole.basis.rows, CONTEXT))
        past = self.inputs.per_past + 2 * CONTEXT
        self.backbone = Backbone(past, H, int(network["depth"]))
        self.past_HU = nn.Parameter(torch.empty(H + past, D * U))
        self.unit_bias_U = nn.Parameter(torch.empty(D * U))
        self.inner_PU = nn.Parameter(torch.empty(D * P, D * U))
        self.moment_SU = nn.Parameter(torch.empty(CONTEXT, D * U))
        self.reference_U = nn.Parameter(torch.empty(D * U))
        self.supply_U = nn.Parameter(torch.empty(D * U))
        stays = [each for each in self.inputs.coders if each.variable.stays]
        sizes = {each.index: RUNS * _told_apart(each) for each in stays}
        self.runs_TU = nn.ParameterDict({str(i): torch.empty(T, U) for i, T in sizes.items()})
        blocks = [_blocks(each) for each in self.inputs.coders]
        self.basis = Basis(
            [single for each in blocks for single, _ in each],
            [smooth for each in blocks for _, smooth in each],
        )
        self.counts = tuple(coder.codes for coder in self.inputs.coders)
        self.outputs_BU = nn.Parameter(torch.empty(self.basis.rows, U))
        self.bias_K = nn.Parameter(torch.empty(sum(self.counts)))
        kinds = [len(coder.blocks) for coder in self.inputs.coders]
        self.kinds_WU = nn.ParameterList(torch.empty(each, U) for each in kinds)
        self.kind_bias_W = nn.ParameterList(torch.empty(each) for each in kinds)
        order = torch.arange(D)
        earlier = (order[:, None] < order[None, :]).float()
        mask = earlier.repeat_interleave(P, 0).repeat_interleave(U, 1)
        self.register_buffer("inner_mask", mask, persistent=False)
        gap = -1 if self.inputs.gap is None else self.inputs.gap
        after = (order > gap).float() * (self.inputs.gap is not None)
        self.register_buffer("after_gap", after.repeat_interleave(U), persistent=False)

    @torch.no_grad()
    def draw(self, stream: torch.Generator) -> None:
        """Draw the weights in place; at first all codes are alike."""
        self.whole.draw(stream)
        self.inputs.draw(stream)
        self.statics_BS.normal_(std=0.3, generator=stream)
        self.backbone.draw(stream)
        self.past_HU.normal_(std=len(self.past_HU) ** -0.5, generator=stream)
        self.inner_PU.normal_(std=len(self.inner_PU) ** -0.5, generator=stream)
        self.moment_SU.normal_(std=len(self.moment_SU) ** -0.5, generator=stream)
        for each in (self.unit_bias_U, self.outputs_BU, self.bias_K, self.reference_U):
            each.zero_()
        for each in (self.supply_U, *self.runs_TU.values()):
            each.zero_()
        for index, coder in enumerate(self.inputs.coders):
            shares_K = torch.tensor(coder.variable.used).clamp(min=LEAST_SHARE)
            blocks = shares_K.split(coder.blocks)
            self.kinds_WU[index].zero_()
            kinds_W = torch.stack([block.sum() for block in blocks])
            self.kind_bias_W[index].copy_(kinds_W.log() / BIAS_SCALE)
            first = sum(self.counts[:index])
            shares_K = torch.cat([block / block.sum() for block in blocks])
            self.bias_K[first : first + len(shares_K)].copy_(shares_K.log() / BIAS_SCALE)

    def weights(self) -> StepWeights:
        """Return the weights as products use them."""
        return StepWeights(
            self.inputs.vectors(),
            self.inner_PU * self.inner_mask,
            self.basis.expand(self.outputs_BU),
            self.bias_K * BIAS_SCALE,
        )

    def statics(self, codes_NE: Tensor) -> Tensor:
        """Return what the context says of entities, (N, S).

        Length and start are no part of it: with the statics they tell entities apart one by one,
        and a network that sees them learns these by heart.
        """
        if not len(self.static_D):
            return self.statics_BS.new_zeros(len(codes_NE), CONTEXT)
        ordered_ND = codes_NE[:, self.whole.order_D] + self.whole.first_D
        vectors_KS = self.whole.basis.expand(self.statics_BS)
        return functional.embedding_bag(ordered_ND[:, self.static_D], vectors_KS, mode="sum")

    @staticmethod
    def context(statics: Tensor, place: Tensor, moment: Tensor) -> Tensor:
        """Return what is known of steps: of whom, where, when, and when for whom; 2 S numbers."""
        return torch.cat([statics + place + moment, statics * moment], dim=-1)

    def kinds(self, index: int, units_MU: Tensor) -> Tensor:
        """Return the logits of a variable's own codes together and of each of its relations."""
        bias_W: Tensor = self.kind_bias_W[index] * BIAS_SCALE
        return torch.addmm(bias_W, units_MU, self.kinds_WU[index].T)

    def by_past(
        self, coder: Coder, reached: Reached, history: History, since_MD: Tensor, own: slice
    ) -> Tensor | float:
        """Return what a variable's units alone see of its past.

        That is how many steps ago the last change was, as a code, since how long promotions last is
        no smooth function of it; the running sum or prediction that a value may follow from; and
        how much there is of such a sum beside what was last added to it, or beside the first value.
        """
        index, found = coder.index, self._of_runs(coder, history, since_MD)
        for relation, reference, known in zip(coder.variable.relations, *reached.both, strict=True):
            summed = relation.addend is not None and relation.is_equal
            if not summed and relation.prediction is None:
                continue
            _, scores = coder.find(torch.where(known, reference, coder.shown[0]))
            found = found + (scores * known)[:, None] * self.reference_U[own]
            if summed:
                lot_M = torch.where(history.has_lot[:, index], history.lot[:, index], reached.first)
                supply_M = (reference.clamp(min=0).log1p() - lot_M.clamp(min=0).log1p()) * known
                found = found + supply_M.float()[:, None] * self.supply_U[own]
            break
        return found

    def _of_runs(self, coder: Coder, history: History, since_MD: Tensor) -> Tensor | float:
        """Return what units see of how many steps ago a variable that stays last changed."""
        index = coder.index
        if str(index) not in self.runs_TU:
            return 0.0
        runs_M = since_MD[:, index].long().clamp(max=RUNS - 1) * history.has_back[:, index]
        if _told_apart(coder) > 1:
            last_M, known_M = history.last[:, index], history.has_last[:, index]
            codes_M, _ = coder.find(torch.where(known_M, last_M, coder.shown[0]))
            runs_M = runs_M + RUNS * codes_M
        return functional.embedding(runs_M, self.runs_TU[str(index)])


def _told_apart(coder: Coder) -> int:
    """Return for how many values runs are told apart: promotions last otherwise than none does."""
    return coder.own_codes if coder.own_codes <= FEW_CODES else 1


def _blocks(coder: Coder) -> list[tuple[tuple[bool, ...], bool]]:
    """Return of each block of codes which are one value, and whether neighbours are alike."""
    own = coder.variable.own
    single = tuple(bool(size == 1) for size in np.diff(own.first_cells))
    found = [(single, own.is_smooth)]
    for relation in coder.variable.relations:
        if relation.offsets is None:
            found.append(((True,) * relation.codes, False))
        else:
            sizes = np.diff(relation.offsets.first_cells)
            found.append((tuple(bool(size == 1) for size in sizes), True))
    return found
