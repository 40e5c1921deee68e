"""Every exception of Google's libraries means a leaf of ours, also one that a release adds; so does every reason."""

from __future__ import annotations

import inspect
import json

import google.auth.exceptions
import googleapiclient.errors
import httplib2
import httplib2.error
import pytest
from google.auth import exceptions as auth
from googleapiclient import errors as api

from providers import errors
from providers.google.failures import (
    LEAF_BY_EXCEPTION,
    LEAF_BY_REASON,
    LEAF_BY_TOKEN_ERROR,
    leaf_of_answer,
    of_token_endpoint,
    translated,
)

ENDPOINT = "https://www.googleapis.com/calendar/v3/"


def exceptions_of(module):
    found = (kind for _, kind in inspect.getmembers(module, inspect.isclass))
    return {kind for kind in found if issubclass(kind, Exception) and kind.__module__ == module.__name__}


@pytest.mark.parametrize(
    ("module", "at_least"), [(googleapiclient.errors, 12), (google.auth.exceptions, 14), (httplib2.error, 9)]
)
def test_every_exception_of_the_library_is_mapped(module, at_least):
    found = exceptions_of(module)
    assert len(found) >= at_least
    assert found - set(LEAF_BY_EXCEPTION) == set()


@pytest.mark.parametrize("kind", sorted(LEAF_BY_EXCEPTION, key=lambda kind: f"{kind.__module__}.{kind.__name__}"))
def test_what_the_libraries_raise_surfaces_as_its_leaf(kind):
    error = kind.__new__(kind)
    error.args = ("SECRET body",)
    if isinstance(error, api.HttpError):
        error.resp, error.content = httplib2.Response({"status": "500"}), b"SECRET body"
    with pytest.raises(errors.ProviderError) as caught, translated(ENDPOINT, calendar="cal"):
        raise error
    assert type(caught.value) is LEAF_BY_EXCEPTION[kind]
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("table", [LEAF_BY_EXCEPTION, LEAF_BY_REASON, LEAF_BY_TOKEN_ERROR])
def test_the_tables_name_leaves_only(table):
    branches = {errors.ProviderError, errors.Transient, errors.AuthorizationError, errors.PreconditionFailed}
    assert branches.isdisjoint(table.values())


def answer(status, *reasons, headers=()):
    told = {"error": {"code": status, "message": "SECRET", "errors": [{"domain": "x", "reason": r} for r in reasons]}}
    response = httplib2.Response({"status": str(status), **dict(headers)})
    return api.HttpError(response, json.dumps(told).encode(), uri=ENDPOINT)


@pytest.mark.parametrize(
    ("status", "reason", "leaf"),
    [
        (403, "rateLimitExceeded", errors.RateLimited),
        (403, "userRateLimitExceeded", errors.RateLimited),
        (403, "quotaExceeded", errors.RateLimited),
        (403, "calendarUsageLimitsExceeded", errors.RateLimited),
        (429, "rateLimitExceeded", errors.RateLimited),
        (429, "somethingNew", errors.RateLimited),
        (403, "forbidden", errors.PermissionDenied),
        (403, "forbiddenForNonOrganizer", errors.PermissionDenied),
        (403, "somethingNew", errors.PermissionDenied),
        (403, "insufficientPermissions", errors.GrantRevoked),
        (403, "accessNotConfigured", errors.Unavailable),
        (401, "authError", errors.Unavailable),  # the token is new: only the token endpoint knows of a revocation
        (401, "required", errors.Unavailable),
        (400, "required", errors.Unsupported),  # a field is missing
        (401, "push.webhookUrlUnauthorized", errors.Unsupported),
        (400, "push.webhookUrlNotHttps", errors.Unsupported),
        (400, "pushNotSupportedForRequestedResource", errors.Unsupported),
        (400, "channelIdNotUnique", errors.Unavailable),  # it is open: the answer that said so was lost
        (404, "notFound", errors.NotFound),
        (409, "duplicate", errors.AlreadyExists),
        (410, "fullSyncRequired", errors.SyncTokenInvalid),
        (410, "updatedMinTooLongAgo", errors.SyncTokenInvalid),
        (410, "deleted", errors.NotFound),
        (412, "conditionNotMet", errors.ETagMismatch),
        (400, "invalidParameter", errors.Unsupported),
        (500, "backendError", errors.Unavailable),
        (503, "somethingNew", errors.Unavailable),
    ],
)
def test_an_answer_means_what_its_reason_says(status, reason, leaf):
    with pytest.raises(errors.ProviderError) as caught, translated(ENDPOINT, calendar="cal", remote_id="event"):
        raise answer(status, reason)
    assert type(caught.value) is leaf
    assert (caught.value.calendar, caught.value.remote_id) == ("cal", "event")
    assert reason in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_the_reasons_of_the_newer_form_count_too():
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]
    told = json.dumps({"error": {"code": 403, "status": "PERMISSION_DENIED", "details": details}}).encode()
    with pytest.raises(errors.GrantRevoked, match="connect the account again"), translated(ENDPOINT):
        raise api.HttpError(httplib2.Response({"status": "403"}), told)
    for error in ({"status": "RESOURCE_EXHAUSTED"}, {"details": [{"reason": "RATE_LIMIT_EXCEEDED"}]}):
        with pytest.raises(errors.RateLimited), translated(ENDPOINT):
            raise api.HttpError(httplib2.Response({"status": "403"}), json.dumps({"error": error}).encode())


@pytest.mark.parametrize("content", [b"", b"<html>", b'{"code": 410}', b'{"error": {"errors": [{"reason": "gone"}]}}'])
def test_410_ends_a_sync_token_whatever_its_body_says(content):
    with pytest.raises(errors.SyncTokenInvalid), translated(ENDPOINT):
        raise api.HttpError(httplib2.Response({"status": "410"}), content, uri=f"{ENDPOINT}?syncToken=x&alt=json")


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"error": "x"}', b'{"error": {"errors": [1, {"a": 2}]}}'])
def test_an_error_without_a_reason_goes_by_its_status(content):
    with pytest.raises(errors.Unavailable), translated(ENDPOINT):
        raise api.HttpError(httplib2.Response({"status": "502"}), content)
    assert leaf_of_answer(410, []) is errors.NotFound


def test_the_pause_google_asks_for_is_passed_on():
    with pytest.raises(errors.RateLimited) as caught, translated(ENDPOINT):
        raise answer(429, "rateLimitExceeded", headers={"retry-after": "17"}.items())
    assert caught.value.retry_after == 17


@pytest.mark.parametrize(
    ("told", "leaf", "says"),
    [
        ({"error": "invalid_grant"}, errors.GrantRevoked, "no longer accepts the permission"),
        ({"error": "invalid_grant", "error_subtype": "invalid_rapt"}, errors.GrantRevoked, "no longer accepts"),
        ({"error": "admin_policy_enforced"}, errors.GrantRevoked, "administrator"),
        ({"error": "invalid_client"}, errors.Unavailable, "client_id or client secret"),
        ({"error": "temporarily_unavailable"}, errors.Unavailable, "temporarily_unavailable"),
    ],
)
def test_a_refused_renewal_means_what_the_token_endpoint_says(told, leaf, says):
    with pytest.raises(leaf, match=says), translated("https://oauth2.googleapis.com/token"):
        raise auth.RefreshError("text", told)
    assert type(of_token_endpoint(400, told, "https://oauth2.googleapis.com/token")) is leaf


def test_a_token_endpoint_that_fails_is_no_revocation():
    assert type(of_token_endpoint(503, {}, ENDPOINT)) is errors.Unavailable
    assert type(of_token_endpoint(429, {}, ENDPOINT)) is errors.RateLimited
    assert type(of_token_endpoint(400, {}, ENDPOINT)) is errors.Unavailable
    assert type(of_token_endpoint(400, {"error": "something_new"}, ENDPOINT)) is errors.Unavailable
    with pytest.raises(errors.Unavailable), translated(ENDPOINT):
        raise auth.RefreshError("<html>", retryable=True)


@pytest.mark.parametrize("status", [301, 403, 404, 405, 500])
def test_an_endpoint_that_is_somewhere_else_revokes_nobody_s_permission(status):
    assert type(of_token_endpoint(status, {}, ENDPOINT)) is errors.Unavailable
