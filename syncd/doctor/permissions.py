"""Permissions at Google: that syncd can ask for them, and that those it has won't end by themselves.

Decides what gives away an OAuth app in state Testing, whose permissions Google ends after seven days.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from providers.connections import is_at_home
from providers.errors import GrantRevoked
from syncd.config import Config, Google
from syncd.doctor.findings import Finding, mend, note, ok
from syncd.errors import ConfigError
from syncd.secrets import Vault
from syncd.store.access import SIGNED_IN, access_of, how_to_connect
from syncd.store.models import Account

_USUAL = "https://oauth2.googleapis.com/token"
_CLIENTS_END = ".apps.googleusercontent.com"
_TESTING_LASTS = timedelta(days=7)
_ABOUT = timedelta(hours=12)
_TO_PRODUCTION = (
    "set the app to In production in the Google Cloud console (Google Auth Platform, Audience), then connect again"
)


def client(config: Config) -> Iterator[Finding]:
    """What [google] says."""
    google = config.google
    if google is None:
        return
    wrong = list(_wrong(google))
    yield from wrong
    if not wrong:
        back = f"{config.public_url(config.server.port)}/oauth/google/callback"
        yield ok("configuration", f"[google] is set; sign-ins by the web come back to {back}, to be registered there")


def _wrong(google: Google) -> Iterator[Finding]:
    console = "copy it anew from the Google Cloud console (APIs & Services, Credentials)"
    if google.token_uri == _USUAL and not google.client_id.endswith(_CLIENTS_END):
        yield mend("configuration", f"google.client_id is none of Google's: they end in {_CLIENTS_END}", console)
    secret = google.client_secret_env.value.get_secret_value()
    if not secret or secret != secret.strip() or any(map(str.isspace, secret)):
        what = f"{google.client_secret_env.variable} holds no client secret: it is empty, or has spaces in it"
        yield mend("configuration", what, console)
    for name in ("api_endpoint", "auth_uri", "token_uri", "revoke_uri"):
        url = getattr(google, name)
        if urlsplit(url).scheme != "https" and not is_at_home(url):
            what = f"google.{name} is {url}: permissions would cross the network in the clear"
            yield mend("configuration", what, "name an https address, or leave it out")


def granted(session: Session, vault: Vault, config: Config) -> Iterator[Finding]:
    """What each account's permission says of itself."""
    found = select(Account).where(Account.active, Account.provider.in_(SIGNED_IN)).order_by(Account.name)
    for row in session.scalars(found):
        label = f"{row.freelancer.handle}/{row.name}"
        if config.google is None:
            what = f"{label} is a Google account, but [google] isn't in the configuration: it can't be asked"
            yield mend("accounts", what, "put [google] with client_id and client_secret_env back, or disconnect it")
        elif row.credential is not None:
            yield from _lasting(row, vault, label)


def _lasting(row: Account, vault: Vault, label: str) -> Iterator[Finding]:
    from providers.google.permissions import Grant

    try:
        access = access_of(row, vault)
        grant = Grant.read(access.secret if access else "")
    except (ConfigError, GrantRevoked):
        return  # told elsewhere
    if grant.ends_at is not None:
        yield _ending(row, label, grant.granted_at, grant.ends_at)
    elif row.state == "needs_reconnect" and _ended_after(row, grant.granted_at, _TESTING_LASTS):
        what = f"the permission of {label} ended after about 7 days: so it does while an OAuth app is in state Testing"
        yield note("accounts", what, _next_step(row))


def _ending(row: Account, label: str, granted_at: datetime, ends_at: datetime) -> Finding:
    what = f"the permission of {label} ends on {ends_at:%Y-%m-%d %H:%M} UTC"
    if abs(ends_at - granted_at - _TESTING_LASTS) <= _ABOUT:
        why = "the OAuth app is in state Testing, where permissions last 7 days"
        return mend("accounts", f"{what}: {why}", _next_step(row))
    again = how_to_connect(row.provider, row.freelancer.handle, row.name)
    return mend("accounts", f"{what}: it was given for a limited time", f"give it anew before: {again}")


def _ended_after(row: Account, granted_at: datetime, lasts: timedelta) -> bool:
    """Whether its calendars could be pulled so long, and no longer."""
    last = max((c.synced_at for c in row.calendars if c.synced_at), default=None)
    return last is not None and abs(last - granted_at - lasts) <= _ABOUT


def _next_step(row: Account) -> str:
    return f"{_TO_PRODUCTION}: {how_to_connect(row.provider, row.freelancer.handle, row.name)}"
