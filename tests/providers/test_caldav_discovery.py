"""From the address a person typed to the calendars, and who is told the password on the way."""

from __future__ import annotations

import contextlib
import re
import socket

import pytest

from providers.caldav import wire
from providers.caldav.advice import Said, advice, advice_for_no_address
from providers.errors import GrantRevoked, InvalidResponse, NotFound, PermissionDenied, ProviderError, Unavailable

XML = {"Content-Type": "application/xml"}


def edited(given, *changes):
    for old, new in changes:
        given.body = given.body.replace(old, new)
    return given


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", {"Home", "Work"}),
        ("ada@example/", {"Home", "Work"}),
        ("ada%40example", {"Home", "Work"}),
        ("ada%40example/work/", {"Work"}),
        ("ada%40example/work", {"Work"}),
    ],
)
def test_any_address_of_the_account_leads_to_its_calendars(radicale, open_caldav, path, found):
    for name in ("Home", "Work"):
        radicale.make_calendar(name, "Europe/Berlin")
    calendars = open_caldav(path).list_calendars()
    assert found <= {calendar.name for calendar in calendars}
    assert "work/" in path + "/" or len(calendars) > 1


def test_a_calendar_comes_with_its_address_name_colour_and_zone(radicale, gateway, open_caldav):
    direct = radicale.make_calendar("Paint & Co", "America/New_York", "#FF8800CC")
    (calendar,) = [one for one in open_caldav().list_calendars() if one.name == "Paint & Co"]
    assert calendar.remote_id == direct.replace(radicale.url, gateway.url).replace("@", "%40")
    assert (calendar.colour, calendar.tz, calendar.can_write) == ("#ff8800", "America/New_York", True)


def test_a_calendar_that_can_not_hold_events_is_left_out(radicale, open_caldav):
    radicale.make_calendar("Tasks", component="VTODO")
    assert "Tasks" not in {calendar.name for calendar in open_caldav().list_calendars()}


def test_a_calendar_in_the_bin_is_left_out(radicale, gateway, open_caldav, work):
    binned = b'<C:calendar /><deleted-calendar xmlns="http://nextcloud.com/ns" />'
    gateway.rewrite = lambda _seen, given: edited(given, (b"<C:calendar />", binned))
    assert open_caldav().list_calendars() == []


@pytest.mark.parametrize(
    ("granted", "can_write"),
    [
        (b"<privilege><read /></privilege><privilege><write-properties /></privilege>", False),
        (b"<privilege><read /></privilege><privilege><write-content /></privilege>", True),
        (b"<privilege><all /></privilege>", True),
        (b"", False),
        (None, True),
    ],
)
def test_what_is_granted_decides_whether_a_calendar_can_be_written(
    radicale, gateway, open_caldav, work, granted, can_write
):
    def grants(_seen, given):
        before, start, rest = given.body.partition(b"<current-user-privilege-set>")
        while start:
            rest = rest.partition(b"</current-user-privilege-set>")[2]
            before += b"" if granted is None else start + granted + b"</current-user-privilege-set>"
            tail, start, rest = rest.partition(b"<current-user-privilege-set>")
            before += tail
        given.body = before
        return given

    gateway.rewrite = grants
    (calendar,) = open_caldav("ada@example/work/").list_calendars()
    assert calendar.can_write is can_write


def test_a_property_the_server_refuses_to_show_spoils_nothing(gateway, open_caldav, work):
    gateway.rewrite = lambda _seen, given: edited(given, (b"404 Not Found", b"403 Forbidden"))
    assert "Work" in {calendar.name for calendar in open_caldav().list_calendars()}


def test_the_well_known_address_is_asked_where_the_given_one_knows_nothing(gateway, open_caldav, work, answer):
    def portal(seen):
        if seen.path == "/":
            return answer(405)
        return answer(301, {"Location": "/ada%40example/"}) if seen.path == "/.well-known/caldav" else None

    gateway.rule = portal
    assert "Work" in {calendar.name for calendar in open_caldav().list_calendars()}
    assert {seen.method for seen in gateway.seen} == {"PROPFIND"}


def test_a_server_that_calls_every_path_a_calendar_is_asked_for_the_principal(gateway, open_caldav, work, answer):
    """As Radicale 1 does where its well-known address leads."""

    def every_path(seen):
        if seen.path == "/":
            return answer(405)
        return answer(303, {"Location": "/ada%40example/work/"}) if seen.path == "/.well-known/caldav" else None

    gateway.rule = every_path
    assert "Work" in {calendar.name for calendar in open_caldav().list_calendars()}
    last = gateway.seen[-1]
    assert (last.path, last.headers["Depth"]) == ("/ada%40example/", "1")


def test_a_calendar_with_a_principal_in_it_is_none(gateway, open_caldav, work):
    pretends = (b"<resourcetype>", b'<resourcetype><C:calendar xmlns:C="urn:ietf:params:xml:ns:caldav" />')

    def rewrite(seen, given):
        return edited(given, pretends) if seen.path == "/" else given

    gateway.rewrite = rewrite
    calendars = open_caldav().list_calendars()
    assert gateway.url not in {calendar.remote_id for calendar in calendars}
    assert "Work" in {calendar.name for calendar in calendars}


def test_discovery_is_few_requests(gateway, open_caldav, work):
    open_caldav().list_calendars()
    assert [(seen.method, seen.headers["Depth"]) for seen in gateway.seen] == [
        ("PROPFIND", "0"),
        ("PROPFIND", "0"),
        ("PROPFIND", "1"),
    ]


@pytest.mark.parametrize(
    ("status", "headers", "body", "leaf"),
    [
        (200, {"Content-Type": "text/html"}, b"<html><p>Please sign in</html>", InvalidResponse),
        (200, {}, b"", InvalidResponse),
        (404, {}, b"", NotFound),
        (403, {}, b"", PermissionDenied),
        (401, {}, b"", GrantRevoked),
        (500, {}, b"", Unavailable),
        (207, XML, b'<multistatus xmlns="DAV:"/>', NotFound),
    ],
)
def test_an_address_that_is_no_calendar_server_is_an_error_not_an_empty_account(
    gateway, open_caldav, answer, status, headers, body, leaf
):
    gateway.rule = lambda _seen: answer(status, headers, body)
    with pytest.raises(leaf):
        open_caldav().list_calendars()


def test_a_207_to_a_stranger_is_a_wrong_password(gateway, open_caldav, answer):
    stranger = (
        b'<multistatus xmlns="DAV:"><response><href>/</href><propstat><prop><current-user-principal><unauthenticated/>'
        b"</current-user-principal></prop><status>HTTP/1.1 200 OK</status></propstat></response></multistatus>"
    )
    gateway.rule = lambda _seen: answer(207, XML, stranger)
    with pytest.raises(GrantRevoked, match="doesn't accept the user name and password"):
        open_caldav().list_calendars()
    with pytest.raises(GrantRevoked, match="doesn't know who asks: the server asks for no Digest: set auth to auto"):
        open_caldav(auth="digest").list_calendars()


def test_an_unreachable_server_is_unavailable_and_its_name_is_told(open_caldav):
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 can't be reached"):
        open_caldav(url="http://127.0.0.1:1/dav/").list_calendars()


def test_a_private_server_needs_permission(gateway, open_caldav):
    with pytest.raises(Unavailable, match="allow_private"):
        open_caldav(allow_private=False).list_calendars()
    assert gateway.seen == []


@pytest.mark.parametrize("way", ["home", "principal", "redirect"])
def test_a_server_that_points_to_another_host_is_not_told_the_password(gateway, radicale, open_caldav, answer, way):
    elsewhere = type(gateway)(radicale.url)
    away = elsewhere.url.encode() + b"ada%40example/"
    tags = {"home": b"<C:calendar-home-set><href>", "principal": b"<current-user-principal><href>"}
    if way == "redirect":
        gateway.rule = lambda _seen: answer(302, {"Location": elsewhere.url})
    else:
        gateway.rewrite = lambda _seen, given: edited(given, (tags[way] + b"/ada%40example/", tags[way] + away))
        away_host = away.replace(b"127.0.0.1", b"localhost")
        gateway.rewrite = lambda _seen, given: edited(given, (tags[way] + b"/ada%40example/", tags[way] + away_host))
    try:
        with pytest.raises(InvalidResponse, match="connect the account"):
            open_caldav().list_calendars()
        assert elsewhere.seen == []
    finally:
        elsewhere.stop()


@pytest.mark.parametrize("url", ["dav.example.org", "ftp://dav.example/", "", "/dav/"])
def test_an_address_that_is_not_one_is_refused_at_once(open_caldav, url):
    with pytest.raises(ValueError, match="https://"):
        open_caldav(url=url or "x")


def test_a_password_in_the_address_is_used_and_goes_no_further(radicale, gateway, open_caldav, work):
    url = gateway.url.replace("http://", "http://ada%40example:p%C3%A4ssw%C3%B6rd%3A%201815@")
    provider = open_caldav(url=url, username="", secret="")
    calendars = provider.list_calendars()
    assert "Work" in {calendar.name for calendar in calendars}
    assert "1815" not in repr(calendars)


def test_no_error_tells_the_password_or_a_body(gateway, open_caldav, work, answer, caplog, capfd):
    gateway.rule = lambda _seen: answer(207, XML, b"<multistatus xmlns='DAV:'><response>Dentist SECRET")
    provider = open_caldav()
    with caplog.at_level(0), pytest.raises(ProviderError) as caught:
        provider.list_calendars()
    told = f"{caught.value} {caplog.text} {capfd.readouterr()}"
    assert "SECRET" not in told
    assert provider._server.url in told or "127.0.0.1" in told


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("#FF8800", "#ff8800"),
        ("#ff8800ff", "#ff8800"),
        (" #F80 ", "#ff8800"),
        ("tomato", None),
        ("#12", None),
        ("", None),
        (None, None),
    ],
)
def test_a_colour_is_six_digits_or_unknown(text, colour):
    assert wire.colour(text) == colour


@pytest.mark.parametrize(
    ("name", "definition", "zone"),
    [
        ("Europe/Paris", None, "Europe/Paris"),
        (None, "BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\nEND:VTIMEZONE", "Europe/Berlin"),
        (None, "TZID:W. Europe Standard Time\r\n", "Europe/Berlin"),
        (None, "TZID:/freeassociation.sourceforge.net/Europe/Kyiv\n", "Europe/Kyiv"),
        (None, "TZID:Customized Time Zone\r\nX-LIC-LOCATION:Asia/Tokyo\r\n", "Asia/Tokyo"),
        (None, "TZID:America/New_\r\n York\r\n", "America/New_York"),
        ("Mars/Olympus", "TZID:Mars/Olympus\r\n", None),
        (None, None, None),
    ],
)
def test_a_zone_is_an_iana_name_or_unknown(name, definition, zone):
    assert wire.zone(name, definition) == zone


@pytest.mark.parametrize(
    ("base", "href", "url"),
    [
        ("https://dav.example/a/", "/cal/x.ics", "https://dav.example/cal/x.ics"),
        ("https://dav.example/a/", "x.ics", "https://dav.example/a/x.ics"),
        ("https://DAV.example:443/", "", "https://dav.example/"),
        ("https://dav.example/", "https://p1.dav.example:443/x", "https://p1.dav.example/x"),
        ("http://h:81/", "/a b/ä%c3%a4/%2F@%40~.ics", "http://h:81/a%20b/%C3%A4%C3%A4/%2F%40%40~.ics"),
        ("http://h/", "/cal/urn:uuid:1?x.ics", "http://h/cal/urn%3Auuid%3A1"),
    ],
)
def test_an_href_becomes_an_absolute_url_in_one_spelling(base, href, url):
    assert wire.resolve(base, href) == url
    assert wire.resolve(base, url) == url


PAGE = {"Content-Type": "text/html; charset=utf-8"}
HINT = "this is a web page, not a CalDAV address; the CalDAV address of Nextcloud ends in /remote.php/dav"


@pytest.mark.parametrize(
    ("status", "leaf", "told"),
    [
        (200, InvalidResponse, HINT),
        (405, InvalidResponse, f"HTTP 405: {HINT}"),
        (400, InvalidResponse, f"HTTP 400: {HINT}"),
        (501, InvalidResponse, f"HTTP 501: {HINT}"),
        (404, NotFound, f"HTTP 404: {HINT}"),
        (403, PermissionDenied, f"HTTP 403: {HINT}"),
        (401, GrantRevoked, "doesn't accept the user name and password"),
        (503, Unavailable, "HTTP 503"),
    ],
)
@pytest.mark.parametrize("body", [b"<!DOCTYPE html><p>hello", b"<html><p>hello</html>", b"<p>hello"])
def test_a_web_page_is_told_as_one_and_what_would_be_right(gateway, open_caldav, answer, status, leaf, told, body):
    gateway.rule = lambda _seen: answer(status, PAGE, body)
    with pytest.raises(leaf, match=re.escape(told)) as caught:
        open_caldav("x/").list_calendars()
    assert type(caught.value) is leaf
    assert "hello" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "page", "right"),
    [
        ("", b"<title>Nextcloud</title>", "Nextcloud ends in /remote.php/dav: try {}/remote.php/dav"),
        ("apps/calendar/", b"<title>Calendar - Nextcloud</title>", "try {}/remote.php/dav"),
        ("index.php/login", b"<title>NEXTCLOUD</title>", "try {}/remote.php/dav"),
        ("cloud/index.php/apps/files", b"<p>ownCloud", "ownCloud ends in /remote.php/dav: try {}/cloud/remote.php/dav"),
        ("SOGo/so/ada", b"<title>SOGo</title>", "SOGo ends in /SOGo/dav/: try {}/SOGo/dav/"),
        ("", b"<title>Zimbra Web Client</title>", "Zimbra ends in /dav/: try {}/dav/"),
        ("", "<title>Baïkal</title>".encode(), "try {}/dav.php/"),
        (".web/", b"<title>Radicale Web Interface</title>", "Radicale ends in /: try {}/"),
    ],
)
def test_the_software_behind_a_page_is_recognised(gateway, open_caldav, answer, path, page, right):
    gateway.rule = lambda _seen: answer(405, PAGE, b"<!DOCTYPE html>" + page)
    with pytest.raises(InvalidResponse, match=re.escape(right.format(gateway.url.rstrip("/")))):
        open_caldav(path).list_calendars()


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("https://calendar.google.com/calendar/u/0/r", "syncd connect google"),
        ("https://outlook.office365.com/owa/", "syncd connect microsoft"),
        ("https://www.icloud.com/calendar", "https://caldav.icloud.com/"),
        ("https://app.fastmail.com/calendar", "https://caldav.fastmail.com/dav/"),
        ("https://office.mailbox.org/appsuite/", "https://dav.mailbox.org/caldav/"),
        ("https://posteo.de/", "https://posteo.de:8443/"),
        ("https://calendar.yahoo.com/", "https://caldav.calendar.yahoo.com/"),
    ],
)
def test_well_known_services_are_told_by_their_address(url, right):
    page = Said(url, "text/html", b"<!DOCTYPE html><title>Sign in</title>")
    assert right in advice(url, page)
    assert right in advice(url, None)


@pytest.mark.parametrize("status", [200, 405])
def test_a_calendar_file_is_told_as_one(gateway, open_caldav, answer, status):
    gateway.rule = lambda _seen: answer(status, {"Content-Type": "text/calendar"}, b"BEGIN:VCALENDAR\r\nEND:VCALENDAR")
    with pytest.raises(InvalidResponse, match=r"calendar file, not a CalDAV server: .*syncd connect ics"):
        open_caldav("secret.ics").list_calendars()


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("webcal://feeds.example/x.ics", "syncd connect ics"),
        ("WEBCALS://feeds.example/x.ics", "syncd connect ics"),
        ("dav.example.org", "https://dav.example.org"),
        ("dav.example.org:8443/dav/", "https://dav.example.org:8443/dav/"),
        (" nas.local/dav", "https://nas.local/dav"),
        ("caldavs://ada@dav.example/x", "https://dav.example/x"),
        ("ftp://dav.example/", "starts with https:// or http:// and a host"),
        ("", "starts with https:// or http:// and a host"),
        ("https:///dav", "starts with https:// or http:// and a host"),
    ],
)
def test_what_is_no_address_is_told_with_what_would_be_right(open_caldav, typed, told):
    assert told in advice_for_no_address(typed)
    with pytest.raises(ValueError, match=re.escape(told)):
        open_caldav(url=typed or " ")


def test_a_sign_in_on_another_host_is_told(gateway, open_caldav, answer):
    gateway.rule = lambda _seen: answer(302, {"Location": "https://login.example/sso"} | PAGE, b"<html>Found</html>")
    with pytest.raises(InvalidResponse, match=r"redirects to login\.example: connect the account .* web page"):
        open_caldav().list_calendars()


def with_well_known(answer, status, body=b"", headers=PAGE):
    return lambda seen: answer(status, headers, body) if "well-known" in seen.path else None


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, PAGE),
        (403, PAGE),
        (404, {}),
        (405, {}),
        (500, PAGE),
        (503, {}),
        (302, {"Location": "/.well-known/caldav"}),
    ],
)
def test_a_well_known_address_that_fails_hides_nothing_that_was_found(
    gateway, open_caldav, work, answer, status, headers
):
    """A server without principals: its folder of calendars is all there is."""

    def plain(seen, given):
        return edited(given, (b"current-user-principal", b"x"), (b"principal-URL", b"y"), (b"calendar-home-set", b"z"))

    gateway.rule = with_well_known(answer, status, b"<html>", headers)
    gateway.rewrite = plain
    assert "Work" in {calendar.name for calendar in open_caldav("ada%40example/").list_calendars()}


@pytest.mark.parametrize(("known", "leaf"), [(500, Unavailable), (404, NotFound), (403, NotFound), (401, GrantRevoked)])
def test_of_two_addresses_that_fail_what_may_pass_or_needs_the_person_is_told(
    gateway, open_caldav, answer, known, leaf
):
    gateway.rule = lambda seen: answer(known if "well-known" in seen.path else 404)
    with pytest.raises(leaf, match=f"HTTP {404 if leaf is NotFound else known}"):
        open_caldav("wrong/").list_calendars()


@pytest.fixture
def names(monkeypatch):
    """Let names of example hosts lead to loopback."""
    real = socket.getaddrinfo

    def resolve(host, port, *args, **options):
        return real("127.0.0.1" if host.endswith((".example", ".example.org")) else host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.parametrize("what", [b"<C:calendar-home-set><href>", b"<current-user-principal><href>"])
def test_a_home_on_another_host_of_the_domain_is_asked_with_the_password(
    gateway, radicale, open_caldav, work, names, what
):
    elsewhere = type(gateway)(radicale.url)
    away = f"http://p42-dav.example.org:{elsewhere.port}/ada%40example/".encode()
    gateway.rewrite = lambda _seen, given: edited(given, (what + b"/ada%40example/", what + away))
    try:
        found = open_caldav(url=f"http://dav.example.org:{gateway.port}/").list_calendars()
        assert "Work" in {calendar.name for calendar in found}
        assert {calendar.remote_id.split("/")[2] for calendar in found} == {f"p42-dav.example.org:{elsewhere.port}"}
        assert all(seen.headers["Authorization"] for seen in elsewhere.seen)
    finally:
        elsewhere.stop()


@pytest.mark.parametrize("what", [b"<C:calendar-home-set><href>", b"<current-user-principal><href>"])
@pytest.mark.parametrize(
    "away", ["http://dav.stranger.example:{}/", "http://dav.stranger.example:{}\\@dav.example.org/"]
)
def test_a_home_on_a_strangers_host_is_not_asked_at_all(gateway, radicale, open_caldav, names, what, away):
    elsewhere = type(gateway)(radicale.url)
    href = away.format(elsewhere.port).encode()
    gateway.rewrite = lambda _seen, given: edited(given, (what + b"/ada%40example/", what + href))
    try:
        with contextlib.suppress(InvalidResponse, NotFound):  # read as a path of the own host it does no harm
            open_caldav(url=f"http://dav.example.org:{gateway.port}/").list_calendars()
        assert elsewhere.seen == []
        assert len(gateway.seen) > 0
    finally:
        elsewhere.stop()


@pytest.mark.parametrize(
    "href", [b"/ada@example/", b"/ada%2540example/", b"/ada%40example", b"http://127.0.0.1/ada@example"]
)
def test_every_spelling_of_a_principal_leads_to_the_same_calendars(gateway, open_caldav, work, href):
    usual = {calendar.remote_id for calendar in open_caldav().list_calendars()}
    gateway.rewrite = lambda _seen, given: edited(
        given, (b"<href>/ada%40example/</href>", b"<href>" + href + b"</href>")
    )
    assert {calendar.remote_id for calendar in open_caldav().list_calendars()} == usual


def test_two_homes_that_list_each_other_and_themselves_are_read_once(gateway, open_caldav, work):
    home = b"<C:calendar-home-set><href>/ada%40example/</href>"
    gateway.rewrite = lambda _seen, given: edited(given, (home, home + b"<href>/ada@example</href><href>./</href>"))
    names = [calendar.name for calendar in open_caldav().list_calendars()]
    assert sorted(names) == sorted(set(names))
    assert [seen.headers["Depth"] for seen in gateway.seen].count("1") == 1


def test_a_host_with_letters_beyond_ascii_is_told_the_password(gateway, open_caldav, work, names):
    found = open_caldav(url=f"http://dav.b\u00fccher.example:{gateway.port}/").list_calendars()
    assert "Work" in {calendar.name for calendar in found}
    assert all(calendar.remote_id.startswith("http://dav.xn--bcher-kva.example:") for calendar in found)


@pytest.mark.parametrize("path", ["ada%40example", "ada%40example/work"])
def test_a_slash_that_is_missing_at_the_end_is_added_where_nothing_is_without(gateway, open_caldav, work, answer, path):
    """No well-known address helps here."""
    gateway.rule = lambda seen: None if seen.path.endswith("/") else answer(404, PAGE, b"<html>")
    calendars = open_caldav(path).list_calendars()
    assert work[1].remote_id in {calendar.remote_id for calendar in calendars}
    assert gateway.seen[0].path == f"/{path}"


@pytest.mark.parametrize("url", ["https://[::1/", "https://a b/", "https://x:99999999/", "https://\uff0f/", "https://"])
def test_an_address_that_can_not_be_read_is_refused_before_anything_is_sent(open_caldav, url):
    with pytest.raises(ValueError, match="starts with https"):
        open_caldav(url=url)
