"""A flow run suspended with a message: Prefect's `suspend_flow_run` gives its state none."""

from typing import Any, NoReturn
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Pause
from prefect.input import RunInput, keyset_from_paused_state
from prefect.states import Suspended
from prefect.utilities.engine import propose_state_sync


def suspend_flow_run(
    run: UUID, *, wait_for_input: type[RunInput], key: str, timeout: int, message: str
) -> NoReturn:
    """Suspend the flow run in hand until a form is answered; its process ends.

    The form is there before the run is suspended, so that whoever sees the question can answer it;
    from 3.9 on Prefect takes it for that of an earlier attempt and deletes it, so it is put again.

    Args:
        run: id of the flow run in hand.
        wait_for_input: the form.
        key: of the suspension; never used twice in one run.
        timeout: seconds until the run fails, unless it is resumed.
        message: of the state, which lists and `ganmill status` show.

    Raises:
        Pause: Prefect's signal that ends the process.
        RuntimeError: the server did not take the state.
    """
    state: State[Any] = Suspended(timeout_seconds=timeout, pause_key=key, message=message)
    keys = keyset_from_paused_state(state)
    state.state_details.run_input_keyset = {str(kind): key for kind, key in keys.items()}
    wait_for_input.save(keys, flow_run_id=run)
    with get_client(sync_client=True) as client:
        accepted = propose_state_sync(client, state, flow_run_id=run)
        if not client.filter_flow_run_input(run, keys["schema"], limit=1, exclude_keys=set()):
            wait_for_input.save(keys, flow_run_id=run)
    if not accepted.is_paused():
        msg = f"Prefect answers {accepted.name} to a run that asks for a person's decision"
        raise RuntimeError(msg)
    raise Pause(state=accepted)
