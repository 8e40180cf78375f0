"""The baselines are what they say: no memory at all, and none beyond a block."""

import numpy as np
from baselines import block_bootstrap, independent
from small_series import autoregression, make_series

ENTITIES, STEPS, SHARE = 200, 42, 0.95


def lagged(records, lag):
    values = np.array(records["load"].to_pylist())
    return np.corrcoef(values[:, lag:].ravel(), values[:, :-lag].ravel())[0, 1]


def test_memory_of_baselines():
    numbers = np.random.default_rng(6)
    load = autoregression(numbers, ENTITIES, STEPS, SHARE).round(3)
    records = make_series({"load": load.ravel()}, [STEPS] * ENTITIES)
    alone, blocks = independent(records, 150, 1), block_bootstrap(records, 150, 1)
    assert alone.schema.equals(records.schema, check_metadata=True)
    assert blocks.schema.equals(records.schema, check_metadata=True)
    assert abs(lagged(alone, 1)) < 0.05
    assert 0.7 < lagged(blocks, 1) < lagged(records, 1) - 0.05
    assert abs(lagged(blocks, 7)) < 0.1
    assert len(blocks) == 150
    assert not blocks.equals(block_bootstrap(records, 150, 2))
