"""Asking the Hugging Face Hub: patient with a Hub that is busy, one sentence where it refuses.

`huggingface_hub` already repeats part of its requests; `patiently` repeats whole operations, so they must be such
that a second try does no harm.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from dreamcart.errors import UserError

T = TypeVar("T")

WAITS = (1, 2, 4, 8)  # seconds before another try
LONGEST_WAIT = 60  # a Hub that asks for more is left alone
BUSY = (408, 412, 429, 500, 502, 503, 504)  # 412: somebody else's commit came first


def patiently(repo_id: str, ask: Callable[[], T]) -> T:
    """The answer of `ask()`, which is tried again after a busy Hub and a dropped line.

    Raises:
        UserError: the Hub refuses (no token, no such repository, …), stays busy or cannot be reached.
    """
    for wait in (*WAITS, None):
        try:
            return ask()
        except Exception as problem:  # the Hub client's errors share no base class with the transport's
            cause = _cause(problem)
            sentence = _sentence(cause, repo_id)
            if sentence is None:
                raise
            asked_for = _asked_wait(cause)
            if wait is None or not _may_pass(cause) or asked_for > LONGEST_WAIT:
                raise UserError(sentence) from None
            time.sleep(max(wait, asked_for))
    raise AssertionError("the last wait is None")


def hub_api() -> Any:
    """huggingface_hub's client for the endpoint and the token that the environment names."""
    from huggingface_hub import HfApi

    return HfApi()


def explain(problem: BaseException, repo_id: str) -> str | None:
    """What to tell a person of a failure while reading or writing `repo_id`; None where it is not the Hub's."""
    return _sentence(_cause(problem), repo_id)


def _cause(problem: BaseException) -> BaseException:
    """What lies behind the client's own wrapping: uploads run in threads, downloads look into the cache first, and `datasets`
    says of any answer that it was disconnected."""
    while isinstance(problem, (RuntimeError, FileNotFoundError, ConnectionError)) and problem.__cause__ is not None:
        problem = problem.__cause__
    return problem


def _status(problem: BaseException) -> int | None:
    return getattr(getattr(problem, "response", None), "status_code", None)


def _asked_wait(problem: BaseException) -> int:
    """Seconds that the Hub asked to wait."""
    headers = getattr(getattr(problem, "response", None), "headers", {})
    value = str(headers.get("retry-after", ""))
    return int(value) if value.isdigit() else 0


def _may_pass(problem: BaseException) -> bool:
    import httpx2
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(problem, OfflineModeIsEnabled):
        return False
    return _status(problem) in BUSY or isinstance(problem, (httpx2.TransportError, ConnectionError))


def _sentence(problem: BaseException, repo_id: str) -> str | None:
    """What to tell a person; None where the problem is not the Hub's."""
    import httpx2
    from huggingface_hub import constants, errors

    status = _status(problem)
    again = "run the same command again: what has arrived is not sent twice"
    if isinstance(problem, errors.HFValidationError):
        return f"{repo_id!r} is no name of a repository on the Hub; write OWNER/NAME."
    if isinstance(problem, errors.OfflineModeIsEnabled):
        return f"The Hub is switched off by HF_HUB_OFFLINE in the environment; unset it to reach {repo_id}."
    if isinstance(problem, errors.RevisionNotFoundError):
        return f"{repo_id} on the Hub has no such revision; see its history there and name a commit of it."
    if isinstance(problem, errors.EntryNotFoundError):
        return f"{repo_id} on the Hub has no such file ({str(getattr(getattr(problem, 'response', None), 'url', ''))[:200]})."
    if status in (401, 403) and not isinstance(problem, errors.RepositoryNotFoundError):
        why = "no valid token was given" if status == 401 else "the token may not do that"
        return (
            f"The Hub refuses access to {repo_id} ({status}: {why}); log in with `hf auth login` or set HF_TOKEN, then run again."
        )
    if status == 404 or isinstance(problem, errors.RepositoryNotFoundError):
        return f"The Hub has no {repo_id}, or it is private and the token may not see it; check the name, or run `hf auth login`."
    if status == 429:
        wait = _asked_wait(problem)
        return f"The Hub asks to slow down (429{f', for {wait} seconds' if wait else ''}); wait, then {again}."
    if status == 412:
        return f"Somebody else keeps writing to {repo_id} (412); {again}."
    if status is not None:
        return f"The Hub answered {status} for {repo_id}; {again}."
    if isinstance(problem, (httpx2.TransportError, ConnectionError)):
        return f"The line to the Hub ({constants.ENDPOINT}) broke or could not be opened ({type(problem).__name__}); {again}."
    if isinstance(problem, errors.LocalEntryNotFoundError) or type(problem).__module__.startswith("hf_xet"):
        return f"The Hub could not be asked for {repo_id} ({type(problem).__name__}); check the network, then {again}."
    return None
