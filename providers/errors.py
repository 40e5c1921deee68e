"""What can go wrong at a remote calendar, named for what the caller does about it.

Facts are attributes; the text is for people and never holds a secret, a title or an address of a client.
"""

from __future__ import annotations


class ProviderError(Exception):
    """Anything a remote calendar did that isn't an answer."""

    def __init__(
        self,
        message: str = "",
        *,
        calendar: str | None = None,
        remote_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])
        self.calendar = calendar
        self.remote_id = remote_id
        self.retry_after = retry_after


class Transient(ProviderError):
    """It may work later: try again."""


class RateLimited(Transient):
    """The server asks for fewer requests: wait `retry_after` seconds."""


class Unavailable(Transient):
    """The server can't be reached or fails: try again with growing pauses."""


class AuthorizationError(ProviderError):
    """The server refuses us: stop and ask the person."""


class GrantRevoked(AuthorizationError):
    """The credential is no longer accepted: the account must be reconnected."""


class PermissionDenied(AuthorizationError):
    """The credential is good, but not for this calendar."""


class PreconditionFailed(ProviderError):
    """The remote side isn't as we thought: read it again, plan again."""


class NotFound(PreconditionFailed):
    """What was addressed is not there."""


class AlreadyExists(PreconditionFailed):
    """What was to be created is there already."""


class ETagMismatch(PreconditionFailed):
    """It was changed since we read it."""


class SyncTokenInvalid(ProviderError):
    """The server no longer knows the sync token: pull in full."""


class Unsupported(ProviderError):
    """We asked for something this provider can't do: a bug of ours."""


class InvalidResponse(ProviderError):
    """The answer can't be understood."""
