"""The Ray engine: the same shards as the local one, and workers and clusters that are not there."""

import pytest
from pydantic import SecretStr

from flows.engines.interface import SynthesisRequest, make_engine
from flows.errors import EngineError, ExtraMissingError, exit_code, sentence
from storage.stores.open import open_store


@pytest.fixture
def order(snapshot, plan, tmp_path) -> SynthesisRequest:
    return SynthesisRequest(
        plan=plan, snapshot=snapshot[0], lake_uri=str(tmp_path / "lake"), profile=None
    )


def make(order, engine, say=print):
    lake = open_store(order.lake_uri)
    done = {}
    wanted = range(len(order.plan.shards))
    engine.run(order, list(wanted), lake=lake, on_shard=done.__setitem__, say=say)
    assert sorted(done) == list(wanted)
    return {entry.path: lake.get(entry.path) for entry in done.values()}


@pytest.mark.full
def test_one(order):
    make(order, make_engine("ray", 2, "local"))
