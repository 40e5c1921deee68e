"""A freelancer's calendars over HTTP: who may see them, and what is said of events that can't be understood."""

from __future__ import annotations

PATH = "/v1/freelancers/ada/calendars"
BROKEN = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//other//EN\r\nBEGIN:VEVENT\r\nUID:{uid}\r\n"
    "DTSTART;TZID=Middle Earth:20261124T090000\r\nSUMMARY:Dentist SECRET\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)

KNOWN = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//other//EN\r\nBEGIN:VEVENT\r\nUID:{uid}\r\n"
    "DTSTART:20261124T090000Z\r\nDTEND:20261124T100000Z\r\nSUMMARY:Dentist SECRET\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def test_every_calendar_is_listed_with_its_state_and_what_its_server_does(house):
    answer = house.get(PATH, token=house.key("manage")).json()
    assert answer["next_cursor"] is None
    assert [(c["account"], c["name"], c["blocks"], c["target"]) for c in answer["data"]] == [
        ("home", "Private", True, False),
        ("home", "Shared", False, False),
        ("home", "Work", True, True),
    ]
    work = answer["data"][2]
    assert (work["state"], work["quarantined"]) == ("fresh", [])
    assert work["probe"]["pulls_by"] == "sync-token"
    assert work["probe"]["privileges"] == ["read", "write"]


def test_what_is_not_understood_is_named_with_reason_and_advice_and_never_by_its_title(house):
    house.remote["ada"].put("Work", "visit.ics", BROKEN.format(uid="never-read"))
    house.remote["ada"].put("Work", "known.ics", KNOWN.format(uid="known"))
    house.pull()
    house.remote["ada"].put("Work", "known.ics", BROKEN.format(uid="known"))
    house.pull()
    answer = house.get(PATH, token=house.key("manage"))
    known, unknown = answer.json()["data"][2]["quarantined"]
    assert (known["href"], known["uid"], known["start"]) == ("known.ics", "known", "20261124T090000")
    assert "time zone Middle Earth" in known["reason"] or "time zone is not known" in known["reason"]
    assert "was last known of it goes on closing slots" in known["advice"]
    assert unknown["uid"] == "never-read"
    assert "closes no slots" in unknown["advice"]
    assert "SECRET" not in answer.text


def test_only_a_key_that_may_manage_the_freelancer_sees_the_calendars(house, problem_of):
    problem_of(house.get(PATH), 401, "unauthorized")
    problem_of(house.get(PATH, token="syncd_wrong"), 401, "unauthorized")
    problem_of(house.get(PATH, token=house.key("slots:read", "bookings:write")), 403, "forbidden")
    problem_of(house.get(PATH, token=house.key("manage", freelancer="bob")), 404, "not-found")
    problem_of(house.get("/v1/freelancers/nobody/calendars", token=house.key("manage")), 404, "not-found")
    assert house.get(PATH, token=house.key("manage", freelancer=None)).status_code == 200
