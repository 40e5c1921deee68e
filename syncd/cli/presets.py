"""Calendar services that many people use: where their CalDAV is, and which password they want.

Decides an account's address from a service's name, the server's name and the user's, and the sentence that says where
an app password is made. Each names the vendor's document it was taken from. Refuses to ask anyone anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from syncd.errors import ApiError


@dataclass(frozen=True, slots=True)
class Preset:
    """A service: `address` holds `{server}` where every installation has its own, `{username}` where every user has."""

    key: str
    title: str
    address: str
    user: str  # what the service calls the user name
    password: str  # which password it wants, and where that is made
    source: str  # the vendor's document
    ending: str = ""  # of an address that is typed whole already

    @property
    def needs_server(self) -> bool:
        """Whether the server's name has to be asked."""
        return "{server}" in self.address


PRESETS = (
    Preset(
        "icloud",
        "iCloud",
        "https://caldav.icloud.com/",
        "The e-mail address of your Apple Account",
        "an app-specific password, not the Apple Account's own: account.apple.com, Sign-In and Security, "
        "App-Specific Passwords (needs two-factor authentication)",
        "Sign in to apps with your Apple Account using app-specific passwords",
    ),
    Preset(
        "fastmail",
        "Fastmail",
        "https://caldav.fastmail.com/dav/principals/user/{username}/",
        "Your Fastmail address",
        "an app password: Settings, Privacy & Security, Integrations, New App Password, with access to calendars "
        "(not on the Basic plan)",
        "App passwords; Server names and ports",
    ),
    Preset(
        "nextcloud",
        "Nextcloud",
        "{server}/remote.php/dav/",
        "Your user name there",
        "an app password: Settings, Security, Devices & sessions, Create new app password",
        "Nextcloud user manual: Manage connected browsers and devices",
        "/remote.php/dav",
    ),
    Preset(
        "mailbox.org",
        "mailbox.org",
        "https://dav.mailbox.org/caldav/",
        "Your main mailbox.org address",
        "your password; with two-factor authentication an application password: All settings, Security, "
        "Application passwords",
        "Application passwords for external programs",
    ),
    Preset(
        "posteo",
        "Posteo",
        "https://posteo.de:8443/",
        "Your Posteo address",
        "an app password (Posteo's help, under App passwords, shows where it is made), or your Posteo password where "
        "that is still taken",
        "Posteo help: App passwords",
    ),
    Preset(
        "gmx",
        "GMX",
        "https://caldav.gmx.net/begenda/dav/{username}/",
        "Your GMX address",
        "your password; with two-factor authentication an application-specific password: My Account, Security, "
        "Application-specific passwords",
        "Wie richte ich ein anwendungsspezifisches Passwort ein?",
    ),
    Preset(
        "yahoo",
        "Yahoo",
        "https://caldav.calendar.yahoo.com/",
        "Your Yahoo address",
        "an app password: Account Security, External connections, Create app password",
        "Generate and manage 3rd-party app passwords",
    ),
    Preset(
        "zimbra",
        "Zimbra",
        "{server}/dav/",
        "Your e-mail address there",
        "your password; with two-factor authentication an application code: Preferences, Accounts, Applications, "
        "Add Application Code",
        "Zimbra Two-factor authentication",
        "/dav",
    ),
    Preset(
        "radicale",
        "Radicale",
        "{server}/",
        "Your user name there",
        "the password that its administrator gave you: Radicale has no app passwords",
        "Radicale documentation: Authentication",
    ),
    Preset(
        "own",
        "Another CalDAV server",
        "{server}",
        "Your user name there",
        "an app password if the server has them, else your password",
        "",
    ),
)
_BY_KEY = {preset.key: preset for preset in PRESETS} | {"mailbox": PRESETS[3], "apple": PRESETS[0]}
_PAGES = re.compile(r"/(index\.php|apps|login|remote\.php)(/.*)?\Z")  # what a browser shows of Nextcloud


def find_preset(name: str) -> Preset:
    """The preset of that name, in whatever case. Raises ApiError."""
    preset = _BY_KEY.get(name.strip().lower())
    if preset is None:
        known = ", ".join(one.key for one in PRESETS)
        raise ApiError("invalid-request", f"there is no preset {name!r}; right would be one of {known}")
    return preset


def preset_of(url: str) -> Preset | None:
    """The preset whose server an address is at, None where the address says nothing of it."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return None  # who opens it says what is wrong with it
    return next((p for p in PRESETS if not p.needs_server and urlsplit(p.address).hostname == host), None)


def address_of(preset: Preset, server: str, username: str) -> str:
    """The address of a user's account; `server` is a name or an address, as a person types it.

    Raises ValueError if it is neither.
    """
    if not preset.needs_server:
        return preset.address.format(username=quote(username, safe="@"))
    url = _spelt(server)
    if preset.ending and urlsplit(url).path.rstrip("/").endswith(preset.ending):
        return f"{url.rstrip('/')}/"  # it was typed whole
    if preset.ending:
        url = _PAGES.sub("", url)
    return preset.address.format(server=url if preset.key == "own" else url.rstrip("/"))


def _spelt(server: str) -> str:
    """A server's address with its scheme; a bare name is reached by https."""
    text = server.strip()
    url = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(url)
        is_server = parts.scheme in ("http", "https") and bool(parts.hostname) and " " not in url
    except ValueError:
        is_server = False
    if not is_server:
        raise ValueError('must be a server, such as "cloud.example.org" or "https://cloud.example.org/dav/"')
    return url
