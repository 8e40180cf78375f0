"""Generators that know a table: what is learnt is exact, and what else is done can be judged."""

import numpy as np
import torch

from gan.protocols import Generator
from gan.sample import Sampler
from gan.tables.codec import TableCodec


class KnownTable(Generator):
    """Draws from the rows of a table."""

    def __init__(self, codec, records):
        super().__init__()
        self.first = np.cumsum([0, *codec.code_counts])
        cells_ND = codec.encode(records).values
        self.codes = np.stack(
            [c.code_of_cell[cells] for c, cells in zip(codec.columns, cells_ND.T, strict=True)],
            axis=1,
        ).astype(np.int64)
        places = [c.positions(cells) for c, cells in zip(codec.columns, cells_ND.T, strict=True)]
        self.packed = torch.from_numpy(self.codes + np.stack(places, axis=1))

    def latents(self, rows, numbers):
        self.numbers = numbers
        return torch.zeros(rows, 1)

    def uniform(self, *shape):
        return torch.rand(*shape, generator=self.numbers, dtype=torch.float64).numpy()


class WholeRows(KnownTable):
    """Rows at random among those that the conditions allow."""

    def conditioned(self, allowed_CK):
        rows = [np.arange(len(self.codes))]
        if allowed_CK is not None:
            own = self.codes + self.first[:-1]
            rows = [np.flatnonzero(each[own].all(axis=1)) for each in allowed_CK]
        ends = np.cumsum([0, *(len(each) for each in rows)])
        every = np.concatenate(rows)

        def draw(z_NZ, labels_N):
            places = labels_N.numpy() if len(rows) > 1 else np.zeros(len(z_NZ), dtype=int)
            chosen = self.uniform(len(z_NZ)) * (ends[places + 1] - ends[places])
            return self.packed[every[ends[places] + chosen.astype(int)]]

        return draw


class SingleColumns(KnownTable):
    """Every column by itself, by the frequencies of its codes that are allowed."""

    def conditioned(self, allowed_CK):
        def draw(z_NZ, labels_N):
            found = np.empty((len(z_NZ), self.codes.shape[1]))
            for index, (start, end) in enumerate(zip(self.first, self.first[1:], strict=False)):
                counts = np.bincount(self.codes[:, index], minlength=end - start) + 1e-9
                sums = np.cumsum(allowed_CK[labels_N.numpy(), start:end] * counts, axis=1)
                sought = self.uniform(len(z_NZ)) * sums[:, -1]
                found[:, index] = (sums <= sought[:, None]).sum(axis=1)
            return torch.from_numpy(found + self.uniform(*found.shape) * 0.999)

        return draw


class Plain:
    """A device that does nothing of its own."""

    def configured(self):
        return torch.inference_mode()


def sampler_of(records, label=None, kind=WholeRows, size=4096):
    """Return a sampler whose generator knows the table itself."""
    codec = TableCodec.fit(records, label)
    sampler = Sampler.__new__(Sampler)
    numbers = {"sampling_batch": size, "latent": 1, "latent_spread": 1.0, "truncation": None}
    config = type("Config", (), numbers)()
    sampler.snapshot = type("Snapshot", (), {"codec": codec, "config": config})()
    sampler.generator, sampler.context = kind(codec, records), Plain()
    sampler._shares, sampler._strata = {}, {}
    return sampler
