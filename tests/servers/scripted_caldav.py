"""A small honest CalDAV server in memory, which plays any oddity it is told to.

Written from the RFCs (4918, 4791, 6578, 3744, 6638), not from our adapter: with nothing to play it does what they say
and nothing more. `server.play("name", "other=412")` makes it start anew with these oddities; each is looked for where
it matters, by `self.plays("name")`. It is no part of what is shipped.
"""

from __future__ import annotations

import itertools
import re
import threading
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import icalendar
import recurring_ical_events
from scripted_xml import CALDAV, CS, DAV, Answer, Request, Row, in_halves, multistatus, refusal

ODDITIES = (
    *("never-asks", "never-asks=401", "no-current-user-principal", "no-calendar-home", "no-slash", "encoded-twice"),
    *("other-port", "literal-at", "absolute", "no-sync-collection", "no-sync-collection=501", "no-ctag"),
    *("token-refused-plainly", "token-refused-plainly=400", "any-token", "truncates", "cut-sync", "repeated-rows"),
    *("repeated-changes", "forgets-brief", "itself-listed", "no-etags", "no-etag-on-get", "odd-etags=weak"),
    *("odd-etags=bare", "odd-etags=encoded", "multiget-fails=404", "multiget-fails=501", "multiget-silent"),
    *("multiget-spoilt", "one-fails", "missed-by-time", "if-none-match-ignored", "if-match-ignored", "if-match-wanted"),
    *("other-412", "other-412=bare", "uid-conflict=400", "uid-conflict=403", "no-etag-on-put", "other-etag-on-put"),
    *("slow-to-show", "schedules", "end-wanted", "zones-lost", "answers-200", "reused-etags", "bare-names"),
    *("surrogates", "gone-refused=403", "gone-refused=405", "raw-names", "raw-names-in-sync", "forbidden-characters"),
    *("cut-for-good", "empty-sync", "empty-sync=404", "empty-sync=hides", "fails-empty", "bare-home"),
    *("false-calendars", "unfound-as-gone"),
)
"""What can be played through every test of the port; some of it, like truncated answers, is within the RFCs."""

_BINNED = '<x1:deleted-calendar xmlns:x1="http://nextcloud.com/ns"/>'
_ZONE = "BEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\nTZID:{}\r\nEND:VTIMEZONE\r\nEND:VCALENDAR\r\n"


@dataclass
class Resource:
    text: str
    revision: int
    version: int = 0  # how often it was changed since it was made


@dataclass
class Calendar:
    name: str
    tz: str
    born: int
    resources: dict[str, Resource] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)
    binned: bool = False


class ScriptedServer:
    """One user's calendars below `/calendars/ada@example/`."""

    username, password = "ada@example", "pässwörd: 1815"
    home, principal = "/calendars/ada@example/", "/principals/ada@example/"

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.play()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def play(self, *oddities: str) -> None:
        """Start anew, without calendars, with these oddities."""
        with self._lock:
            self._syncing = False
            self._odd = dict(one.partition("=")[::2] for one in oddities)
            self._revisions = itertools.count(1)
            self.revision = 0
            self.calendars: dict[str, Calendar] = {}
            self.seen: list[Request] = []
            self.mailed: list[str] = []
            self.losing = False
            self.failing = False
            self.removed: dict[str, Calendar] = {}
            self.meanwhile: Callable[[Request], Answer | None] = lambda _request: None
            self._not_shown: dict[tuple[str, str], Resource | None] = {}

    def plays(self, name: str) -> bool:
        return name in self._odd

    # Another client, who needs no HTTP

    def make_calendar(self, name: str, tz: str = "Europe/Berlin") -> str:
        with self._lock:
            self.calendars[name.lower()] = Calendar(name, tz, self._next())
        return f"{self.url}calendars/ada%40example/{quote(name.lower())}/"

    def remove_calendar(self, name: str) -> None:
        with self._lock:
            if self.plays("binned"):
                self.calendars[name.lower()].binned = True
            else:
                self.removed[name.lower()] = self.calendars.pop(name.lower())

    def put(self, calendar: str, name: str, text: str) -> None:
        with self._lock:
            held = self.calendars[calendar.lower()]
            held.resources[name] = self._following(held.resources.get(name), text)
            held.gone.pop(name, None)

    def _following(self, old: Resource | None, text: str) -> Resource:
        return Resource(text, self._next(), old.version + 1 if old else 0)

    def put_as_client(self, calendar: str, name: str, text: str) -> int:
        """Ask for a write as a client over HTTP does, and return the status."""
        with self._lock:
            request = Request("PUT", "", {}, text.encode())
            return self._put(request, self.calendars[calendar.lower()], name).status

    def remove(self, calendar: str, name: str) -> None:
        with self._lock:
            held = self.calendars[calendar.lower()]
            del held.resources[name]
            held.gone[name] = self._next()

    def texts(self, calendar: str) -> dict[str, str]:
        with self._lock:
            return {name: one.text for name, one in self.calendars[calendar.lower()].resources.items()}

    def _next(self) -> int:
        self.revision = next(self._revisions)
        return self.revision

    # HTTP

    def answer(self, request: Request) -> Answer | None:
        """Answer a request; None cuts the connection."""
        with self._lock:
            self.seen.append(request)
            answer = self.meanwhile(request) or self._unless_stranger(request) or self._dispatch(request)
            if self.losing and request.method in ("PUT", "DELETE") and answer.status < 300:
                self.losing = False
                return None
            return answer

    def _unless_stranger(self, request: Request) -> Answer | None:
        given = request.headers.get("Authorization", "")
        if given and self._is_ada(request, given):
            return None
        challenge = (
            {}
            if self._odd.get("never-asks") == "401"
            else {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
        )
        if given or "never-asks" not in self._odd or challenge == {}:
            return Answer(401, challenge)
        if request.method == "PROPFIND" and request.path in ("/", self.principal):
            nobody = {f"{DAV}current-user-principal": "<unauthenticated/>"}
            return self._multistatus(request, [Row(request.path, nobody)])
        return Answer(404)

    def _is_ada(self, request: Request, given: str) -> bool:
        scheme, _, rest = given.partition(" ")
        if scheme == "Basic":
            return b64decode(rest).decode() == f"{self.username}:{self.password}"
        said = dict(re.findall(r'(\w+)="?([^",]*)"?', rest))
        one, two = f"{self.username}:r:{self.password}", f"{request.method}:{request.raw}"
        parts = [_md5(one), "n", said.get("nc", ""), said.get("cnonce", ""), "auth", _md5(two)]
        return scheme == "Digest" and said.get("response") == _md5(":".join(parts))

    def _dispatch(self, request: Request) -> Answer:
        place, _, name = request.path.removeprefix(self.home).partition("/")
        if not request.path.startswith(self.home) or not place:
            return self._above(request)
        calendar = self.calendars.get(place)
        if calendar is None and self._shows_emptied(request):
            return self._multistatus(request, *self._emptied(place))
        if calendar is None:
            return Answer(int(self._odd.get("gone-refused", 409)) if request.method == "PUT" else 404)
        if name:
            does = {"GET": self._get, "PUT": self._put, "DELETE": self._delete, "PROPFIND": self._propfind_one}
        else:
            does = {"PROPFIND": self._propfind, "REPORT": self._report}
        return does[request.method](request, calendar, name) if request.method in does else Answer(405)

    def _above(self, request: Request) -> Answer:
        """Answer for what lies above the calendars: root, principal, home, the well-known address."""
        if request.path == "/.well-known/caldav":
            return Answer(301, {"Location": "/"})
        if request.method != "PROPFIND":
            return Answer(405)
        if self.plays("bare-home") and request.path == self.home:
            return self._multistatus(request, [])
        rows = {"/": self._root, self.principal: self._account, self.home: self._home}.get(_slashed(request.path))
        return self._multistatus(request, rows(request)) if rows else Answer(404)

    def _root(self, request: Request) -> list[Row]:
        me = f"<href>{self._href(self.principal)}</href>"
        kind = "principal-URL" if self.plays("no-current-user-principal") else "current-user-principal"
        claims = "<C:calendar/>" if self.plays("false-calendars") else ""
        return [Row("/", {f"{DAV}{kind}": me, f"{DAV}resourcetype": f"<collection/>{claims}"})]

    def _account(self, request: Request) -> list[Row]:
        props = {f"{CALDAV}calendar-user-address-set": "<href>mailto:ada@example</href>"}
        if not self.plays("no-calendar-home"):
            home = self._href(self.home)
            props[f"{CALDAV}calendar-home-set"] = (
                f"<href>{home.rstrip('/') if self.plays('bare-home') else home}</href>"
            )
        return [Row(self.principal, props | {f"{DAV}resourcetype": "<collection/><principal/>"})]

    def _home(self, request: Request) -> list[Row]:
        me = {f"{DAV}current-user-principal": f"<href>{self._href(self.principal)}</href>"}
        rows = [Row(self.home, {f"{DAV}resourcetype": "<collection/>"} | me)]
        if request.headers.get("Depth") == "1":
            rows.append(Row(f"{self.home}inbox/", {f"{DAV}resourcetype": "<collection/><C:schedule-inbox/>"}))
            rows += [self._described(key) for key in self.calendars]
        return rows

    # Calendars

    def _described(self, key: str) -> Row:
        calendar = self.calendars[key]
        reports = ["calendar-multiget", "calendar-query"] + ["sync-collection"] * (not self.plays("no-sync-collection"))
        props = {
            f"{DAV}resourcetype": f"<collection/>{_BINNED if calendar.binned else '<C:calendar/>'}",
            f"{DAV}displayname": escape(calendar.name),
            f"{CALDAV}calendar-timezone": escape(_ZONE.format(calendar.tz)),
            f"{CALDAV}supported-calendar-component-set": '<C:comp name="VEVENT"/>',
            f"{DAV}current-user-privilege-set": "<privilege><all/></privilege>",
            f"{DAV}supported-report-set": "".join(
                f"<supported-report><report><{r}/></report></supported-report>" for r in reports
            ),
            f"{DAV}getetag": escape(f'"collection-{self._mark(calendar)}"'),
        }
        if self.plays("read-only"):
            props[f"{DAV}current-user-privilege-set"] = "<privilege><read/></privilege>"
        if self.plays("no-zone"):
            del props[f"{CALDAV}calendar-timezone"]
        if not self.plays("no-ctag"):
            props[f"{CS}getctag"] = f"{calendar.born}-{self._mark(calendar)}"
        return Row(f"{self.home}{key}/", props)

    def _mark(self, calendar: Calendar) -> int:
        return max([calendar.born, *(one.revision for one in calendar.resources.values()), *calendar.gone.values()])

    def _propfind(self, request: Request, calendar: Calendar, _name: str) -> Answer:
        key = calendar.name.lower()
        rows = [self._described(key)]
        if request.headers.get("Depth") == "1" and not self.failing:
            rows += [self._row(calendar, name) for name in calendar.resources]
            if self.plays("cut-listing"):
                rows = [*rows[:3], Row(f"{self.home}{key}/", status="507 Insufficient Storage")]
            if self.plays("itself-listed"):
                rows += [
                    Row(f"{self.home}{key}/folder", {f"{DAV}resourcetype": "<collection/>", f"{DAV}getetag": '"f"'})
                ]
        return self._multistatus(request, rows)

    def _propfind_one(self, request: Request, calendar: Calendar, name: str) -> Answer:
        return self._multistatus(request, [self._row(calendar, name)]) if name in calendar.resources else Answer(404)

    def _row(self, calendar: Calendar, name: str, *, with_text: bool = False) -> Row:
        resource = calendar.resources[name]
        props = {f"{DAV}resourcetype": ""}
        if not self.plays("no-etags"):
            props[f"{DAV}getetag"] = escape(self._spelt(resource))
        if with_text:
            props[f"{CALDAV}calendar-data"] = escape(resource.text).replace("\r", "&#13;")
        return Row(f"{self.home}{calendar.name.lower()}/{name}", props)

    def _etag(self, resource: Resource) -> str:
        if self.plays("reused-etags"):
            return f'"gcs{resource.version:08}"'
        return f'W/"{resource.revision}"' if self._odd.get("odd-etags") == "weak" else f'"{resource.revision}"'

    def _spelt(self, resource: Resource) -> str:
        """Return an ETag as a property has it, which RFC 4918 §15.6 wants to be as in the header."""
        odd = self._odd.get("odd-etags")
        return {"bare": str(resource.revision), "encoded": f"%22{resource.revision}%22"}.get(odd, self._etag(resource))

    def _report(self, request: Request, calendar: Calendar, _name: str) -> Answer:
        root = request.xml()
        kinds = {
            f"{DAV}sync-collection": self._sync,
            f"{CALDAV}calendar-multiget": self._multiget,
            f"{CALDAV}calendar-query": self._query,
        }
        return kinds[root.tag](request, calendar, root) if root.tag in kinds else refusal(403, "supported-report")

    def _sync(self, request: Request, calendar: Calendar, root: ET.Element) -> Answer:
        """Answer a sync-collection (RFC 6578 §3)."""
        if self.plays("no-sync-collection"):
            status = int(self._odd["no-sync-collection"] or 403)
            return refusal(status, "supported-report" if status == 403 else "")
        token = (root.findtext(f"{DAV}sync-token") or "").strip()
        match = re.fullmatch(r"http://scripted\.example/sync/(\d+)/(\d+)(?:/(\d+))?", token)
        known = match and int(match[1]) == calendar.born and int(match[2]) <= self.revision
        if token and not known and not self.plays("any-token"):
            return self._bad_token(request)
        since, done = (int(match[2]), int(match[3] or 0)) if known else (0, 0)
        if self.plays("repeated-changes") and since:
            since -= 3  # its second began three changes ago
        return self._multistatus(request, *self._changes(calendar, token, since, done))

    def _bad_token(self, request: Request) -> Answer:
        if self._odd.get("token-refused-plainly") == "207":
            return self._multistatus(request, [Row("/elsewhere/", status="412 Precondition Failed")])
        if self.plays("token-refused-plainly"):
            return Answer(int(self._odd["token-refused-plainly"] or 412))
        return refusal(412 if self.plays("other-412") else 403, "valid-sync-token")

    def _changes(self, calendar: Calendar, token: str, since: int, done: int) -> tuple[list[Row], str]:
        rows = [self._row(calendar, name) for name, one in sorted(calendar.resources.items()) if one.revision > since]
        place = f"{self.home}{calendar.name.lower()}/"
        gone = [Row(place + name, status="404 Not Found") for name, at in calendar.gone.items() if at > since > 0]
        following = f"http://scripted.example/sync/{calendar.born}/{self.revision}"
        if self.plays("forgets-brief"):
            gone = [row for row in gone if not row.path.rpartition("/")[2].startswith("brief")]
        if self._odd.get("empty-sync") == "hides" and not since:
            rows = []
        if self.plays("itself-listed"):
            rows.append(Row(place.rstrip("/"), {f"{DAV}getetag": '"c"'}))
        if self.plays("repeated-rows"):
            rows = [Row(row.path, status="404 Not Found") for row in rows] + rows + rows
        rows = (rows + gone)[done:]
        if len(rows) > (size := self._limit(since)):
            goes_on = f"http://scripted.example/sync/{calendar.born}/{since}/{done + size}"
            end = token if self.plays("cut-sync") else following if self.plays("cut-for-good") else goes_on
            return [*rows[:size], Row(place, status="507 Insufficient Storage")], end
        return rows, following

    def _limit(self, since: int) -> int:
        if self.plays("cut-sync") or (self.plays("cut-for-good") and not since):
            return 2
        return 20 if self.plays("truncates") else 10_000

    def _shows_emptied(self, request: Request) -> bool:
        how = self._odd.get("empty-sync", "hides") if request.asks_sync else "hides"
        return how == "404" or (how == "" and not request.xml().findtext(f"{DAV}sync-token"))

    def _emptied(self, place: str) -> tuple[list[Row], str]:
        """Tell of a calendar that was removed as if it had been emptied."""
        there = self.removed[place].resources if self._odd["empty-sync"] == "404" and place in self.removed else {}
        rows = [Row(f"{self.home}{place}/{name}", status="404 Not Found") for name in there]
        return rows, f"http://scripted.example/sync/0/{self.revision}"

    def _multiget(self, request: Request, calendar: Calendar, root: ET.Element) -> Answer:
        """Answer a calendar-multiget (RFC 4791 §7.9): a row for each href, 404 for what isn't there."""
        paths = [unquote(urlsplit(href.text or "").path) for href in root.iter(f"{DAV}href")]
        names = [path.rpartition("/")[2] for path in paths]
        missing = [name for name in names if name not in calendar.resources]
        how = self._odd.get("multiget-fails")
        if how == "501" or (how == "404" and missing):
            return Answer(int(how))
        if any(self._is_spoilt(calendar, name) for name in names):
            return Answer(500)
        rows = [self._row(calendar, name, with_text=True) for name in names if name not in missing]
        if self.plays("multiget-silent"):
            rows, missing = rows[::2], []
        place = f"{self.home}{calendar.name.lower()}/"
        answer = self._multistatus(request, rows + [Row(place + name, status="404 Not Found") for name in missing])
        if self.plays("multiget-spoilt"):
            answer.body = answer.body.replace(b"BEGIN:VEVENT", b"BEGIN:VEVENT\xe4", 1)
        return answer

    def _query(self, request: Request, calendar: Calendar, root: ET.Element) -> Answer:
        """Answer a calendar-query (RFC 4791 §7.8) for events of a UID or in a span of time."""
        span, uid = root.find(f".//{CALDAV}time-range"), root.findtext(f".//{CALDAV}text-match")
        found = [
            name
            for name, one in calendar.resources.items()
            if "BEGIN:VEVENT" in one.text
            and (uid is None or f"UID:{uid}" in one.text)
            and (span is None or self._lies_in(one.text, span))
        ]
        if not found and self.plays("unfound-as-gone"):
            return self._multistatus(request, [Row(f"{self.home}{calendar.name.lower()}/", status="404 Not Found")])
        return self._multistatus(request, [self._row(calendar, name, with_text=True) for name in found])

    def _lies_in(self, text: str, span: ET.Element) -> bool:
        start, end = (
            datetime.strptime(span.get(edge, ""), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) for edge in ("start", "end")
        )
        try:
            calendar = icalendar.Calendar.from_ical(text)
            if self.plays("missed-by-time"):
                return any(start <= event.start < end for event in calendar.events if event.start.tzinfo)
            return bool(recurring_ical_events.of(calendar).between(start, end))
        except (ValueError, KeyError):
            return True  # what it can't read itself it lists rather than hides

    # Resources

    def _get(self, request: Request, calendar: Calendar, name: str) -> Answer:
        resource = calendar.resources.get(name)
        if (calendar.name, name) in self._not_shown:
            resource = self._not_shown.pop((calendar.name, name))
        if resource is None:
            return Answer(404)
        if self._is_spoilt(calendar, name):
            return Answer(500)
        tag = {} if self.plays("no-etags") or self.plays("no-etag-on-get") else {"ETag": self._etag(resource)}
        return Answer(200, {"Content-Type": "text/calendar; charset=utf-8"} | tag, resource.text.encode())

    def _is_spoilt(self, calendar: Calendar, name: str) -> bool:
        return self.plays("one-fails") and "X-SPOILT" in getattr(calendar.resources.get(name), "text", "")

    def _failed_precondition(self, request: Request, resource: Resource | None) -> bool:
        """Judge If-Match and If-None-Match (RFC 9110 §13.1): If-Match compares strongly, a weak tag never matches."""
        wanted, unwanted = request.headers.get("If-Match"), request.headers.get("If-None-Match")
        if unwanted == "*" and resource is not None and not self.plays("if-none-match-ignored"):
            return True
        if wanted is None or self.plays("if-match-ignored"):
            return False
        there = "" if resource is None else self._etag(resource).removeprefix("W/")
        return wanted != there and not (wanted == "*" and there)

    def _put(self, request: Request, calendar: Calendar, name: str) -> Answer:
        """Store an object as it is (RFC 4791 §5.3.2)."""
        old, text = calendar.resources.get(name), request.body.decode()
        if self._failed_precondition(request, old):
            return Answer(412)
        refused = self._refused(calendar, name, text)
        if refused is not None:
            return refused
        if self.plays("zones-lost") and ";TZID=" in text:
            return Answer(201)
        self._mail(request, text)
        told = self._following(old, text)
        if self.plays("other-etag-on-put"):
            text = text.replace("END:VEVENT", "X-ADDED-LATER:1\r\nEND:VEVENT")
        calendar.resources[name] = self._following(told, text) if text != told.text else told
        calendar.gone.pop(name, None)
        if self.plays("slow-to-show"):
            self._not_shown[calendar.name, name] = old
        silent = self.plays("no-etag-on-put") or self.plays("no-etags")
        return Answer(204 if old else 201, {} if silent else {"ETag": self._etag(told)})

    def _refused(self, calendar: Calendar, name: str, text: str) -> Answer | None:
        """Judge what is to be stored (RFC 4791 §5.3.2.1)."""
        bad = "BEGIN:VEVENT" not in text or "X-BAD" in text or (self.plays("end-wanted") and "DTEND" not in text)
        if bad and self._odd.get("other-412") == "bare":
            return Answer(412)
        if bad:
            return refusal(412 if self.plays("other-412") else 403, "C:valid-calendar-data")
        uid = _uid(text)
        other = next((key for key, one in calendar.resources.items() if _uid(one.text) == uid and key != name), None)
        if other is None:
            return None
        if self.plays("uid-conflict"):
            return Answer(int(self._odd["uid-conflict"] or 400))
        where = f"<href>{self._href(f'{self.home}{calendar.name.lower()}/{other}')}</href>"
        return refusal(412 if self.plays("other-412") else 409, "C:no-uid-conflict", where)

    def _delete(self, request: Request, calendar: Calendar, name: str) -> Answer:
        resource = calendar.resources.get(name)
        if self._failed_precondition(request, resource):
            return Answer(412)
        if resource is None:
            return Answer(404)
        if self.plays("if-match-wanted") and "If-Match" not in request.headers:
            return Answer(428)
        self._mail(request, resource.text)
        self.remove(calendar.name, name)
        return Answer(200 if self.plays("answers-200") else 204)

    def _mail(self, request: Request, text: str) -> None:
        """Tell the guests (RFC 6638 §3.2), unless asked not to, as sabre/dav understands §8.1."""
        if self.plays("schedules") and request.headers.get("Schedule-Reply") != "F":
            self.mailed += re.findall(r"ATTENDEE[^:\r\n]*:([^\r\n]+)", text)

    # Writing XML

    def _href(self, path: str) -> str:
        if self.plays("no-slash") and len(path) > 1:
            path = path.rstrip("/")
        if self.plays("bare-names") and ":" in path:
            return path.rpartition("/")[2]
        if self.plays("raw-names") or (self.plays("raw-names-in-sync") and self._syncing):
            return escape(path)
        text = quote(path, safe="/@" if self.plays("literal-at") else "/")
        text = text.replace("%40", "%2540") if self.plays("encoded-twice") else text
        if self.plays("other-port"):
            return f"http://127.0.0.1:1{text}"
        return self.url.rstrip("/") + text if self.plays("absolute") else text

    def _multistatus(self, request: Request, rows: list[Row], token: str = "") -> Answer:
        self._syncing = request.asks_sync
        answer = multistatus(request, rows, token, self._href)
        if self.plays("surrogates"):
            answer.body = in_halves(answer.body)
        if self.plays("forbidden-characters"):
            answer.body = answer.body.replace(b"SUMMARY:", b"SUMMARY:\x0b&#xFFFE;&#8;\xef\xbf\xbf")
        return answer


def _uid(text: str) -> str:
    match = re.search(r"^UID:(.*?)\r?$", re.sub(r"\r?\n[ \t]", "", text), re.MULTILINE)
    return match[1] if match else ""


def _slashed(path: str) -> str:
    return path if path.endswith("/") else f"{path}/"


def _md5(text: str) -> str:
    return md5(text.encode()).hexdigest()


def _handler(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = unquote(urlsplit(self.path).path)
            answer = server.answer(Request(self.command, path, dict(self.headers.items()), body, self.path))
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in (answer.headers | {"Content-Length": str(len(answer.body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)
            self.wfile.flush()

        def log_message(self, *_said: object) -> None:
            """Say nothing."""

    for method in ("GET", "PUT", "DELETE", "PROPFIND", "REPORT"):
        setattr(Handler, f"do_{method}", Handler.handle_any)
    return Handler
