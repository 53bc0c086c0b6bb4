"""Asking the Hugging Face Hub: patient with a busy one, a sentence where it refuses or is none.

`huggingface_hub` already repeats part of its requests; `patiently` repeats whole operations, so
they must be such that a second try does no harm.
"""

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from dreamcart.core.errors import UserError, shown

if TYPE_CHECKING:
    from dreamcart.core.hub_client import HubClient

T = TypeVar("T")

WAITS = (1, 2, 4, 8)  # seconds before another try
LONGEST_WAIT = 60  # a Hub that asks for more is left alone
BUSY = (408, 412, 429, 500, 502, 503, 504)  # 412: somebody else's commit came first


class NotTheHub(Exception):  # noqa: N818 - what it means, not what it is
    """An answer of a login page, a proxy or another server; the message says what is wrong."""


def patiently(repo_id: str, ask: Callable[[], T]) -> T:
    """Return the answer of `ask()`, which is tried again after a busy Hub and a dropped line.

    Raises:
        UserError: the Hub refuses (no token, no such repository, …), stays busy, cannot be reached,
            or what answers is none.
        OSError: this machine's disk refuses.
    """
    for wait in (*WAITS, None):
        try:
            return ask()
        except UserError:
            raise
        except Exception as problem:
            # the Hub client's errors share no base class with the transport's
            cause = _cause(problem)
            if _of_the_disk(cause):
                raise cause from None
            sentence = _sentence(cause, repo_id)
            # the client trusts an answer, and trips over a strange one in any way
            if sentence is None:
                raise UserError(_nonsense(cause, repo_id)) from problem
            asked_for = _asked_wait(cause)
            if wait is None or not _may_pass(cause) or asked_for > LONGEST_WAIT:
                raise UserError(sentence) from None
            time.sleep(max(wait, asked_for))
    raise AssertionError("the last wait is None")


def hub_api() -> "HubClient":
    """Return a client, which checks answers, for the endpoint and token of the environment."""
    # huggingface_hub, which most commands do without
    from dreamcart.core.hub_client import HubClient

    return HubClient()


def check_repo_id(repo_id: str) -> None:
    """Raise UserError where `repo_id` cannot be OWNER/NAME."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo_id)
        known = "/" in repo_id  # the Hub would look for a bare name elsewhere than it makes it
    except HFValidationError:
        known = False
    if not known:
        raise UserError(_no_repository(repo_id))


def _no_repository(repo_id: str) -> str:
    return f"{shown(repo_id)} is no name of a repository on the Hub; write OWNER/NAME."


def explain(problem: BaseException, repo_id: str) -> str | None:
    """Return what to tell a person of a failure about `repo_id`; None where it is not the Hub's."""
    return _sentence(_cause(problem), repo_id)


def _cause(problem: BaseException) -> BaseException:
    """Return what lies behind the wrapping.

    Uploads run in threads, downloads look into the cache first, and `datasets` says of any answer
    that it was disconnected or that there is no such folder.
    """
    wrappings = (RuntimeError, FileNotFoundError, ConnectionError)
    while isinstance(problem, wrappings) and not _of_the_disk(problem):
        behind = problem.__cause__ or problem.__context__
        if behind is None:
            break
        problem = behind
    return problem


def _of_the_disk(problem: BaseException) -> bool:
    """Whether the system refused a file. The Hub's errors are OSErrors too, without a number."""
    numbered = isinstance(problem, OSError) and problem.errno is not None
    return numbered and not isinstance(problem, ConnectionError)


def _status(problem: BaseException) -> int | None:
    return getattr(getattr(problem, "response", None), "status_code", None)


def _asked_wait(problem: BaseException) -> int:
    """Return the seconds that the Hub asked to wait."""
    headers = getattr(getattr(problem, "response", None), "headers", {})
    value = str(headers.get("retry-after", ""))
    return int(value) if re.fullmatch("[0-9]{1,9}", value) else 0


def _may_pass(problem: BaseException) -> bool:
    import httpx2
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(problem, OfflineModeIsEnabled):
        return False
    return _status(problem) in BUSY or isinstance(problem, (httpx2.TransportError, ConnectionError))


def _nonsense(problem: BaseException, repo_id: str) -> str:
    """Return what to tell a person of an answer that no Hub gives."""
    reason = str(problem) if isinstance(problem, NotTheHub) else type(problem).__name__
    return (
        f"The Hub's answer about {shown(repo_id)[1:-1]} is none that a Hub gives"
        f" ({shown(reason)[1:-1]}): is there a login page between? Open any web page to see (and"
        " look at HF_ENDPOINT, if you set it), then run the same command again."
    )


def _sentence(problem: BaseException, repo_id: str) -> str | None:
    """Return what to tell a person; None where the problem is not known as the Hub's."""
    import httpx2
    from huggingface_hub import constants, errors

    status = _status(problem)
    again = "run the same command again: what has arrived is not sent twice"
    if isinstance(problem, (NotTheHub, errors.FileMetadataError)):  # or without a file's headers
        return _nonsense(problem, repo_id)
    if isinstance(problem, errors.HFValidationError):
        return _no_repository(repo_id)
    if isinstance(problem, errors.OfflineModeIsEnabled):
        return (
            "The Hub is switched off by HF_HUB_OFFLINE in the environment; unset it to reach"
            f" {repo_id}."
        )
    if isinstance(problem, errors.RevisionNotFoundError):
        return (
            f"{repo_id} on the Hub has no such revision; see its history there and name a commit"
            " of it."
        )
    if isinstance(problem, errors.RemoteEntryNotFoundError):
        return (
            f"{repo_id} on the Hub has no such file"
            f" ({str(getattr(getattr(problem, 'response', None), 'url', ''))[:200]})."
        )
    if status in (401, 403) and not isinstance(problem, errors.RepositoryNotFoundError):
        why = "no valid token was given" if status == 401 else "the token may not do that"
        return (
            f"The Hub refuses access to {repo_id} ({status}: {why}); log in with `hf auth login` or"
            " set HF_TOKEN, then run again."
        )
    if status == 404 or isinstance(problem, errors.RepositoryNotFoundError):
        return (
            f"The Hub has no {repo_id}, or it is private and the token may not see it; check the"
            " name, or run `hf auth login`."
        )
    if status == 429:
        wait = _asked_wait(problem)
        return (
            f"The Hub asks to slow down (429{f', for {wait} seconds' if wait else ''}); wait, then"
            f" {again}."
        )
    if status == 412:
        return f"Somebody else keeps writing to {repo_id} (412); {again}."
    if status is not None:
        return f"The Hub answered {status} for {repo_id}; {again}."
    if isinstance(problem, (httpx2.TransportError, ConnectionError)):
        return (
            f"The line to the Hub ({constants.ENDPOINT}) broke or could not be opened"
            f" ({type(problem).__name__}); {again}."
        )
    if isinstance(problem, errors.LocalEntryNotFoundError) or type(problem).__module__.startswith(
        "hf_xet"
    ):
        return (
            f"The Hub could not be asked for {repo_id} ({type(problem).__name__}); check the"
            f" network, then {again}."
        )
    return None
