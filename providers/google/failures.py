"""What an error of Google's libraries, or an answer of its servers, means: tables, and the place where they are used.

Decides the leaf of `providers.errors` and its text, which names the host and Google's reason, never a body or a secret.
Reasons are those of "Handle API errors" (Calendar API) and of "Usage limits"; OAuth's are RFC 6749 §5.2 and Google's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import httplib2
from google.auth import exceptions as auth
from googleapiclient import errors as api
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from providers.errors import (
    AlreadyExists,
    ETagMismatch,
    GrantRevoked,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    ProviderError,
    RateLimited,
    SyncTokenInvalid,
    Unavailable,
    Unsupported,
)
from providers.reasons import reason as reason_of
from providers.transport import leaf_for_exception, leaf_for_status, retry_after

LEAF_BY_REASON: Mapping[str, type[ProviderError]] = {
    **dict.fromkeys(
        (
            "rateLimitExceeded",
            "userRateLimitExceeded",
            "quotaExceeded",
            "dailyLimitExceeded",
            "calendarUsageLimitsExceeded",
            "concurrentLimitExceeded",
            "servingLimitExceeded",
            "variableTermLimitExceeded",
        ),
        RateLimited,
    ),
    **dict.fromkeys(
        ("backendError", "internalError", "backendNotConnected", "notReady", "transientError"), Unavailable
    ),
    # a channel whose first answer was lost: it is open, and its messages will tell
    **dict.fromkeys(("channelIdNotUnique", "push.channelIdNotUnique"), Unavailable),
    # what the operator has to mend: no person's permission is at fault, and it is tried again
    **dict.fromkeys(("accessNotConfigured", "accountDisabled", "dailyLimitExceededUnreg", "keyInvalid"), Unavailable),
    **dict.fromkeys(("insufficientPermissions",), GrantRevoked),
    # a token that was renewed a moment ago: only the token endpoint knows of a revoked permission
    **dict.fromkeys(("authError", "expired"), Unavailable),
    **dict.fromkeys(("forbidden", "forbiddenForNonOrganizer", "requiredAccessLevel", "domainPolicy"), PermissionDenied),
    **dict.fromkeys(("notFound", "deleted", "groupNotFound"), NotFound),
    **dict.fromkeys(("duplicate",), AlreadyExists),
    **dict.fromkeys(("conditionNotMet", "conflict", "aborted"), ETagMismatch),
    **dict.fromkeys(("fullSyncRequired", "updatedMinTooLongAgo"), SyncTokenInvalid),
    **dict.fromkeys(
        ("timeRangeTooLong", "timeRangeEmpty", "groupTooBig", "tooManyCalendarsRequested", "pushNotSupported"),
        Unsupported,
    ),
    # a calendar that can't be watched, or an address Google sends nothing to: told with 400 and 401, and no fault of
    # the person's permission
    **dict.fromkeys(
        ("pushNotSupportedForRequestedResource", "push.webhookUrlUnauthorized", "push.webhookUrlNotHttps"), Unsupported
    ),
}
"""What a reason means, whatever the status: 403 is a limit as often as a refusal."""

LEAF_BY_TOKEN_ERROR: Mapping[str, type[ProviderError]] = {
    **dict.fromkeys(("invalid_grant", "invalid_token", "access_denied", "admin_policy_enforced"), GrantRevoked),
    **dict.fromkeys(
        (
            "invalid_client",
            "unauthorized_client",
            "deleted_client",
            "disabled_client",
            "org_internal",
            "redirect_uri_mismatch",
            "invalid_request",
            "invalid_scope",
            "unsupported_grant_type",
            "unsupported_token_type",
        ),
        Unavailable,
    ),  # syncd's own settings at Google are wrong: people's grants are as good as before
    **dict.fromkeys(("server_error", "temporarily_unavailable", "internal_failure"), Unavailable),
    **dict.fromkeys(("slow_down", "rate_limit_exceeded"), RateLimited),
}

LEAF_BY_EXCEPTION: Mapping[type[Exception], type[ProviderError]] = {
    **dict.fromkeys((api.HttpError, api.BatchError, api.ResumableUploadError), Unavailable),  # its status decides
    **dict.fromkeys((api.InvalidJsonError, api.UnexpectedBodyError, api.UnexpectedMethodError), InvalidResponse),
    **dict.fromkeys(
        (
            api.Error,
            api.UnknownFileType,
            api.UnknownLinkType,
            api.UnknownApiNameOrVersion,
            api.UnacceptableMimeTypeError,
            api.MediaUploadSizeError,
            api.InvalidChunkSizeError,
            api.InvalidNotificationError,
        ),
        Unsupported,
    ),
    **dict.fromkeys(
        (auth.RefreshError, auth.ReauthFailError, auth.ReauthSamlChallengeFailError, auth.UserAccessTokenError),
        GrantRevoked,
    ),  # where the token endpoint's answer doesn't tell more
    **dict.fromkeys(
        (auth.TransportError, auth.TimeoutError, auth.ResponseError, auth.GoogleAuthError, auth.OSError), Unavailable
    ),
    **dict.fromkeys(
        (
            auth.DefaultCredentialsError,
            auth.ClientCertError,
            auth.MutualTLSChannelError,
            auth.MalformedError,
            auth.InvalidResource,
            auth.InvalidOperation,
            auth.InvalidValue,
            auth.InvalidType,
            auth.OAuthError,
        ),
        Unsupported,
    ),
    **dict.fromkeys(
        (
            httplib2.error.HttpLib2Error,
            httplib2.error.HttpLib2ErrorWithResponse,
            httplib2.error.ServerNotFoundError,
            httplib2.error.ProxiesUnavailableError,
        ),
        Unavailable,
    ),
    **dict.fromkeys(
        (
            httplib2.error.RedirectMissingLocation,
            httplib2.error.RedirectLimit,
            httplib2.error.FailedToDecompressContent,
            httplib2.error.MalformedHeader,
        ),
        InvalidResponse,
    ),
    **dict.fromkeys(
        (
            httplib2.error.RelativeURIError,
            httplib2.error.UnimplementedDigestAuthOptionError,
            httplib2.error.UnimplementedHmacDigestAuthOptionError,
        ),
        Unsupported,
    ),
}

_NAMES: Mapping[str, str] = {
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "insufficientPermissions",
    "SERVICE_DISABLED": "accessNotConfigured",
    "RATE_LIMIT_EXCEEDED": "rateLimitExceeded",
    "RESOURCE_EXHAUSTED": "rateLimitExceeded",
}
"""The newer words for the same."""

_ADVICE: Mapping[str, str] = {
    "accessNotConfigured": "enable the Google Calendar API in the project of the OAuth client",
    "insufficientPermissions": "a permission is missing: connect the account again and leave all boxes ticked",
    "invalid_client": "client_id or client secret of [google] isn't right",
    "unauthorized_client": "client_id or client secret of [google] isn't right",
    "deleted_client": "the OAuth client of [google] was deleted",
    "disabled_client": "the OAuth client of [google] is disabled",
    "redirect_uri_mismatch": "register this address as a redirect URI of the OAuth client",
    "admin_policy_enforced": "the administrator of this Google Workspace doesn't allow it",
}


_MISSHAPEN = (TypeError, AttributeError, LookupError, ArithmeticError, AssertionError, RecursionError, UnicodeError)
"""What reading an answer raises that isn't shaped as documented."""


@contextmanager
def translated(url: str, *, calendar: str | None = None, remote_id: str | None = None) -> Iterator[None]:
    """Turn whatever the libraries raise while talking to `url` into a `ProviderError` that knows where it was."""
    try:
        yield
    except ProviderError as error:
        error.calendar = error.calendar or calendar
        error.remote_id = error.remote_id or remote_id
        raise
    except api.HttpError as error:
        raise _of_answer(error, url, calendar, remote_id) from error
    except auth.GoogleAuthError as error:
        raise _of_auth(error, url) from error
    except (api.Error, httplib2.error.HttpLib2Error) as error:
        raise leaf_of(error)(f"{_host(url)} couldn't be asked ({type(error).__name__})") from error
    except _MISSHAPEN as error:
        told = f"{_host(url)} answered something that can't be understood ({type(error).__name__})"
        raise InvalidResponse(told, calendar=calendar, remote_id=remote_id) from error
    except (RequestException, HTTPError, OSError, HTTPException, ValueError) as error:
        leaf, host = leaf_for_exception(error), _host(url)
        told = reason_of(error, host) or f"{host} can't be asked ({type(error).__name__})"
        raise leaf(told, calendar=calendar, remote_id=remote_id) from error


def leaf_of(error: Exception) -> type[ProviderError]:
    """What an exception of Google's libraries means by its class alone."""
    return next(LEAF_BY_EXCEPTION[kind] for kind in type(error).__mro__ if kind in LEAF_BY_EXCEPTION)


def _of_answer(error: api.HttpError, url: str, calendar: str | None, remote_id: str | None) -> ProviderError:
    status, why = int(error.resp.status), reasons(error.content)
    leaf = leaf_of_answer(status, why)
    if status == 410 and "syncToken=" in (error.uri or ""):
        leaf = SyncTokenInvalid  # whatever its body says ("Synchronize resources efficiently")
    told = ", ".join([f"HTTP {status}", *why])
    advice = next((f": {_ADVICE[one]}" for one in why if one in _ADVICE), "")
    pause = retry_after(error.resp.get("retry-after"), now=datetime.now(UTC))
    return leaf(f"{_host(url)} answered {told}{advice}", calendar=calendar, remote_id=remote_id, retry_after=pause)


def leaf_of_answer(status: int, why: list[str]) -> type[ProviderError]:
    """What an answer of the API means: by its reasons; where none is known, by its status."""
    known = next((LEAF_BY_REASON[one] for one in why if one in LEAF_BY_REASON), None)
    if known is not None:
        return known
    return Unavailable if status == 401 else leaf_for_status(status)


def reasons(content: bytes) -> list[str]:
    """The reasons that an error of the API names: `error.errors[].reason`, and those of its `details`."""
    try:
        told = json.loads(content)["error"]
        listed = [*told.get("errors", ()), *told.get("details", ())]
        found = [*(one.get("reason") for one in listed), told.get("status") if told.get("status") in _NAMES else None]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []
    words = [one for one in found if isinstance(one, str) and one.replace(".", "").isidentifier()]
    return list(dict.fromkeys(_NAMES.get(one, one) for one in words))


def _of_auth(error: auth.GoogleAuthError, url: str) -> ProviderError:
    told = next((arg for arg in error.args if isinstance(arg, Mapping)), None)
    if isinstance(error, auth.RefreshError) and told is not None:
        return of_token_endpoint(400, told, url)
    if isinstance(error, auth.RefreshError) and getattr(error, "retryable", False):
        return Unavailable(f"{_host(url)} can't renew the access token now")
    return leaf_of(error)(f"{_host(url)} doesn't renew the access token ({type(error).__name__})")


def of_token_endpoint(
    status: int, told: Mapping[str, Any], url: str, retry_after: float | None = None
) -> ProviderError:
    """What an error of the token or the revocation endpoint means (RFC 6749 §5.2).

    A permission was revoked only where it says so in a word that is known: a gateway's page says nothing of it.
    """
    word = told.get("error")
    code = word if isinstance(word, str) and word.isidentifier() else ""
    leaf = LEAF_BY_TOKEN_ERROR.get(code) or (RateLimited if status == 429 else Unavailable)
    said = code or f"HTTP {status}"
    if leaf is GrantRevoked and code not in _ADVICE:
        return GrantRevoked(f"Google no longer accepts the permission ({said}): it was revoked, or ran out")
    text = f"{_host(url)} answered {said}" + (f": {_ADVICE[code]}" if code in _ADVICE else "")
    return leaf(text, retry_after=retry_after)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
