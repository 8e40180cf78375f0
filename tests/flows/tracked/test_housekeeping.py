"""Prefect's database after many nights: what is old is gone, what is needed is there."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
from prefect.server.database import provide_database_interface
from prefect.server.services.db_vacuum import vacuum_old_events
from prefect.settings import get_current_settings, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from flows.cockpit.local import Cockpit
from flows.tracked import housekeeping
from flows.tracked.housekeeping import tidy_prefect

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
"""Of Prefect's own tables."""

DAYS = 30
TASKS = ("prepare", "train", "evaluate", "gate", "promote", "synthesize", "publish")
ARTIFACTS = ("verdict", "samples", "outcome")
PICTURE = "x" * 20_000
TABLES = ("flow_run", "task_run", "flow_run_state", "artifact", "log", "events", "event_resources")


@pytest.fixture(scope="module")
def server():
    """Prefect on a database of its own."""
    with prefect_test_harness(server_startup_timeout=150):
        yield
        asyncio.run(close())


async def close():
    engine = await provide_database_interface().engine()
    await engine.dispose()


@pytest.fixture
def history(server):
    """An empty database, and a function that puts nights into it as they are recorded."""
    asyncio.run(empty())
    return History()


async def empty():
    db = provide_database_interface()
    async with db.session_context(begin_transaction=True) as session:
        for model in (db.Artifact, db.ArtifactCollection, db.Log, db.EventResource, db.Event):
            await session.execute(sa.delete(model))
        for model in (db.FlowRun, db.Deployment, db.Flow):
            await session.execute(sa.delete(model))
    await close()


class History:
    """Writes rows straight into the database: through the API a thousand nights take minutes."""

    def __init__(self):
        self.db = provide_database_interface()
        self.now = datetime.now(UTC)

    def deployment(self, name, tags=("ganmill",)):
        return asyncio.run(self._deployment(name, list(tags)))

    async def _deployment(self, name, tags):
        flow, deployment = uuid4(), uuid4()
        async with self.db.session_context(begin_transaction=True) as session:
            session.add(self.db.Flow(id=flow, name=f"nightly-{name}"))
            await session.flush()
            session.add(self.db.Deployment(id=deployment, name=name, flow_id=flow, tags=tags))
        await close()
        return flow, deployment, tags

    def nights(self, of, ages_days, state="COMPLETED", shown=ARTIFACTS):
        """Record one run for every age, and return their ids."""
        return asyncio.run(self._nights(of, ages_days, state, shown))

    async def _nights(self, of, ages_days, state, shown):
        made = [self._night(of, age, state, shown) for age in ages_days]
        for kind in range(len(made[0])):
            async with self.db.session_context(begin_transaction=True) as session:
                session.add_all(row for night in made for row in night[kind])
        await close()
        return [night[0][0].id for night in made]

    def _night(self, of, age_days, state, shown):
        flow, deployment, tags = of
        db, run, at = self.db, uuid4(), self.now - timedelta(days=age_days)
        ended = at if state in ("COMPLETED", "FAILED", "CANCELLED", "CRASHED") else None
        common = {"state_type": state, "start_time": at, "end_time": ended, "created": at}
        runs = [
            db.FlowRun(
                id=run, flow_id=flow, deployment_id=deployment, name="night", tags=tags, **common
            )
        ]
        states = [db.FlowRunState(flow_run_id=run, type=state, name=state, timestamp=at)]
        tasks = [
            db.TaskRun(flow_run_id=run, task_key=task, dynamic_key="0", name=task, **common)
            for task in TASKS
        ]
        artifacts = [
            db.Artifact(key=f"digits-{key}", flow_run_id=run, type="markdown", data=PICTURE)
            for key in shown
        ]
        logs = [
            db.Log(flow_run_id=run, name="x", level=20, message="Training", timestamp=at)
            for _ in range(10)
        ]
        event = uuid4()
        told = [
            db.Event(
                id=event,
                occurred=at,
                event="prefect.flow-run.heartbeat",
                resource_id=f"prefect.flow-run.{run}",
                resource={"prefect.resource.id": f"prefect.flow-run.{run}"},
                related=[],
                related_resource_ids=[],
                payload={},
                received=at,
                recorded=at,
            )
        ]
        about = [
            db.EventResource(
                occurred=at,
                resource_id=f"prefect.flow-run.{run}",
                resource_role="",
                resource={},
                event_id=event,
            )
        ]
        return runs, states, [*tasks, *artifacts, *logs, *told], about

    def runs(self):
        return asyncio.run(self._runs())

    async def _runs(self):
        async with self.db.session_context() as session:
            found = set((await session.execute(sa.select(self.db.FlowRun.id))).scalars())
        await close()
        return found

    def counts(self):
        return asyncio.run(self._counts())

    async def _counts(self):
        async with self.db.session_context() as session:
            found = Counter()
            for table in TABLES:
                found[table] = await session.scalar(sa.text(f"select count(*) from {table}"))  # noqa: S608
        await close()
        return found


def test_what_is_old_goes_with_all_that_hangs_on_it(history):
    digits = history.deployment("digits")
    old = history.nights(digits, [31, 45, 90])
    young = history.nights(digits, [0, 1, 29])
    done = tidy_prefect(days=DAYS)
    assert (done.runs, done.artifacts, done.complete) == (len(old), 3 * len(old), True)
    assert history.runs() == set(young)
    counts = history.counts()
    assert counts["task_run"] == len(TASKS) * len(young)
    assert counts["flow_run_state"] == len(young)
    assert counts["artifact"] == 3 * len(young)
    again = tidy_prefect(days=DAYS)
    assert (again.runs, again.artifacts) == (0, 0)


def test_the_newest_of_every_deployment_stays_however_old(history):
    yearly, quarterly = history.deployment("yearly"), history.deployment("quarterly")
    history.nights(yearly, [1100, 735], state="FAILED")
    history.nights(quarterly, [300, 210])
    newest = history.nights(yearly, [370]) + history.nights(quarterly, [120])
    assert tidy_prefect(days=DAYS).runs == 4
    assert history.runs() == set(newest)


@pytest.mark.parametrize("state", ["RUNNING", "PAUSED", "SCHEDULED", "PENDING", "CANCELLING"])
def test_what_has_not_ended_stays(history, state):
    digits = history.deployment("digits")
    waiting = history.nights(digits, [400], state=state)
    history.nights(digits, [300])
    newest = history.nights(digits, [200])
    assert tidy_prefect(days=DAYS).runs == 1
    assert history.runs() == {*waiting, *newest}


def test_what_others_run_on_the_server_stays(history):
    others = history.nights(history.deployment("theirs", tags=["etl"]), [400, 500])
    assert tidy_prefect(days=DAYS).runs == 0
    assert history.runs() == set(others)


def test_one_call_is_bounded_and_the_next_goes_on(history, monkeypatch):
    monkeypatch.setattr(housekeeping, "BATCH", 2)
    monkeypatch.setattr(housekeeping, "MOST_RUNS", 4)
    digits = history.deployment("digits")
    history.nights(digits, range(100, 107))
    first = tidy_prefect(days=DAYS)
    assert (first.runs, first.complete) == (4, False)
    assert (tidy_prefect(days=DAYS).runs, len(history.runs())) == (2, 1)


@pytest.mark.full
def test_a_thousand_nights_leave_as_much_as_thirty(history):
    digits = history.deployment("digits")
    history.nights(digits, [night + 0.5 for night in range(1000)], shown=("outcome",))
    assert history.counts()["flow_run"] == 1000
    done = tidy_prefect(days=DAYS)
    assert (done.runs, done.artifacts, done.complete) == (970, 970, True)
    asyncio.run(forget_events())
    counts = history.counts()
    assert counts["flow_run"] == DAYS
    assert counts["task_run"] == DAYS * len(TASKS)
    assert counts["artifact"] == DAYS
    assert counts["events"] == counts["event_resources"] == 7
    assert counts["log"] <= DAYS * 10 + 970 * 10, "logs are deleted by the server, in its own time"


async def forget_events():
    """Do what the server does every hour."""
    await vacuum_old_events(db=provide_database_interface())
    await close()


def test_our_own_server_forgets_events_and_what_belongs_to_no_run(tmp_path, monkeypatch):
    for name, value in Cockpit(folder=tmp_path).variables().items():
        monkeypatch.setenv(name, value)
    with temporary_settings():
        vacuum = type(get_current_settings().server.services.db_vacuum)()
        assert vacuum.enabled_vacuum_types == {"events", "orphans"}
