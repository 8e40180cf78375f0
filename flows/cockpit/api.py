"""The Prefect API in use: is there one, does it answer, does it let us in?"""

from http import HTTPStatus

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import get_current_settings

from flows.errors import EngineError, RecipeError

REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def check_api() -> None:
    """Ask the Prefect API for its version.

    Raises:
        RecipeError: none is in use, or it refuses the login.
        EngineError: it does not answer as Prefect does.
    """
    url = get_current_settings().api.url
    if not url:
        msg = "no Prefect API is in use: set PREFECT_API_URL, or bring one up with `ganmill up`"
        raise RecipeError(msg)
    try:
        with get_client(sync_client=True) as client:
            client.api_version()
    except PrefectHTTPStatusError as error:
        if error.response.status_code in REFUSED:
            msg = f"{url} refuses the login: set PREFECT_API_AUTH_STRING to user:password"
            raise RecipeError(msg) from error
        msg = f"{url} answers {error.response.status_code}: is it a Prefect API (…/api)?"
        raise EngineError(msg) from error
    except HTTPError as error:
        msg = f"the Prefect API at {url} does not answer: start it, or correct PREFECT_API_URL"
        raise EngineError(msg) from error
