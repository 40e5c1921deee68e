"""From the address a person typed to the calendars, and who is told the password on the way."""

from __future__ import annotations

import pytest

from providers.caldav import wire
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
    with pytest.raises(GrantRevoked):
        open_caldav().list_calendars()


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
        ("https://dav.example/", "http://dav.example:80/x", "https://dav.example/x"),
        ("https://DAV.example:443/", "", "https://dav.example/"),
        ("https://dav.example/", "https://p1.dav.example:443/x", "https://p1.dav.example/x"),
        ("http://h:81/", "/a b/ä%c3%a4/%2F@%40~.ics", "http://h:81/a%20b/%C3%A4%C3%A4/%2F%40%40~.ics"),
        ("http://h/", "/cal/urn:uuid:1?x.ics", "http://h/cal/urn%3Auuid%3A1"),
        ("http://h/", "/a%2540b.ics", "http://h/a%40b.ics"),
    ],
)
def test_an_href_becomes_an_absolute_url_in_one_spelling(base, href, url):
    assert wire.resolve(base, href) == url
    assert wire.resolve(base, url) == url
