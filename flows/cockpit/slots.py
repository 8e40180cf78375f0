"""The GPU slot that the settings name, at the Prefect API in use."""

from prefect.client.orchestration import get_client

from flows.tracked.slot import ensure, usual_pool


def ensure_gpu_slot() -> bool:
    """Make the GPU slot, or give it the number of the settings; False when nothing was to do.

    Raises:
        SettingsError: a `GANMILL_*` variable cannot be understood.
    """
    with get_client(sync_client=True) as client:
        return ensure(client, usual_pool())
