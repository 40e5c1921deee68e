"""What answers at a wrong address, and which address would be right.

People paste what their browser shows. Decides, from the address and what came back, which sentence helps. Refuses to
know what was asked, and repeats nothing of the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from providers.addresses import registrable_domain
from providers.caldav.xml_bounds import is_page

_USUAL = "the CalDAV address of Nextcloud ends in /remote.php/dav, of SOGo in /SOGo/dav/, of Zimbra in /dav/"
_FEED = "a calendar file is connected as a feed: syncd connect ics"

# By the registrable domain of the address, for services that many people use.
_SERVICES = {
    **dict.fromkeys(
        ("google.com", "googleusercontent.com", "gmail.com"),
        "Google takes no password for CalDAV: syncd connect google",
    ),
    **dict.fromkeys(
        ("outlook.com", "live.com", "office.com", "office365.com", "microsoft.com"),
        "Microsoft has no CalDAV: syncd connect microsoft",
    ),
    **dict.fromkeys(
        ("icloud.com", "apple.com", "me.com"),
        "the CalDAV address of iCloud is https://caldav.icloud.com/, with an app-specific password",
    ),
    "fastmail.com": "the CalDAV address of Fastmail is https://caldav.fastmail.com/dav/, with an app password",
    "mailbox.org": "the CalDAV address of mailbox.org is https://dav.mailbox.org/caldav/",
    "posteo.de": "the CalDAV address of Posteo is https://posteo.de:8443/",
    "gmx.net": "the CalDAV address of GMX is https://caldav.gmx.net/begenda/dav/, your address, and /calendar",
    "web.de": "the CalDAV address of WEB.DE is https://caldav.web.de/begenda/dav/, your address, and /calendar",
    "yahoo.com": "the CalDAV address of Yahoo is https://caldav.calendar.yahoo.com/, with an app password",
    "infomaniak.com": "the CalDAV address of Infomaniak is https://sync.infomaniak.com/",
}

# By a word in the page: the software, and where below its own folder CalDAV is.
_SOFTWARE = (
    ("nextcloud", "Nextcloud", "/remote.php/dav"),
    ("owncloud", "ownCloud", "/remote.php/dav"),
    ("sogo", "SOGo", "/SOGo/dav/"),
    ("zimbra", "Zimbra", "/dav/"),
    ("open-xchange", "Open-Xchange", "/caldav/"),
    ("davical", "DAViCal", "/caldav.php/"),
    ("baïkal", "Baïkal", "/dav.php/"),
    ("baikal", "Baïkal", "/dav.php/"),
    ("egroupware", "EGroupware", "/groupdav.php/"),
    ("horde", "Horde", "/rpc.php/"),
    ("synology", "Synology", "/caldav/"),
    ("radicale", "Radicale", "/"),
)
_OF_THE_PAGES = re.compile(r"/(index\.php|apps|login|remote\.php|SOGo|dav|\.web|admin)(/.*)?$")


@dataclass(frozen=True, slots=True)
class Said:
    """An answer as far as it takes to recognise who gave it."""

    url: str
    kind: str  # its Content-Type
    start: bytes  # of its body
    cookies: str = ""


def advice(given: str, said: Said | None) -> str | None:
    """Return what an answer is and what would be right for the address `given`, as a clause; None if it is no help."""
    service = _SERVICES.get(registrable_domain(urlsplit(given).hostname or ""))
    if said is None:
        return service
    if said.start.lstrip(b"\xef\xbb\xbf\r\n\t ")[:15].upper() == b"BEGIN:VCALENDAR" or "text/calendar" in said.kind:
        return f"this is a calendar file, not a CalDAV server: {_FEED}"
    if not is_page(said.start) and "html" not in said.kind:
        return service
    return f"this is a web page, not a CalDAV address; {service or _of_software(given, said) or _USUAL}"


def _of_software(given: str, said: Said) -> str | None:
    page = f"{said.start[:65_536].decode('utf-8', 'replace')} {said.cookies}".lower()
    for word, name, ending in _SOFTWARE:
        if word in page:
            return f"the CalDAV address of {name} ends in {ending}: try {_root(given)}{ending}"
    return None


def _root(given: str) -> str:
    """Return the address of the software that shows pages at `given`: it may live in a folder."""
    parts = urlsplit(given)
    return f"{parts.scheme}://{parts.netloc}{_OF_THE_PAGES.sub('', parts.path).rstrip('/')}"


def advice_for_no_address(text: str) -> str:
    """Return what would be right in place of `text`, which is no address of http or https."""
    scheme, mark, rest = text.strip().partition("://")
    if mark and scheme.lower() in ("webcal", "webcals"):
        return f"webcal:// leads to a calendar file; {_FEED}"
    if mark and scheme.lower() in ("caldav", "caldavs", "dav", "davs"):
        return f"a CalDAV address is written with https://: https://{_without_user(rest)}"
    if not mark and re.match(r"[\w.-]+\.[\w-]+(?::\d+)?(?:/|$)", text.strip()):
        return f"a CalDAV address starts with https://: https://{text.strip()}"
    return "a CalDAV address starts with https:// or http:// and a host"


def _without_user(rest: str) -> str:
    place, mark, path = rest.partition("/")
    return place.rpartition("@")[2] + mark + path
