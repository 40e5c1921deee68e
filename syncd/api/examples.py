"""Examples of what is sent and answered, for whoever reads `/openapi.json`; the tests hold each against its schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_CLIENT = {"name": "Grace Hopper", "email": "grace@example.com", "time_zone": "Europe/Berlin", "locale": "de"}
_SLOT = {"start": "2026-11-24T10:00:00+01:00", "end": "2026-11-24T10:30:00+01:00"}
_HOURS = {"monday": ["09:00-12:00", "13:00-17:00"], "friday": ["22:00-02:00"]}

EXAMPLES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "NewBooking": [
        {
            "start": "2026-11-24T10:00:00+01:00",
            "duration_minutes": 30,
            "client": _CLIENT,
            "answers": {"goal": "A second opinion"},
            "note": "I may be a minute late.",
            "metadata": {"order": "4711"},
        },
        {"start": "2026-11-24T10:00:00+01:00", "hold_minutes": 10},
    ],
    "Amend": [{"note": "Please ring twice.", "answers": {"goal": "A plan"}, "metadata": {"order": "4712"}}],
    "Hold": [{"hold_minutes": 10}],
    "Confirm": [{"client": _CLIENT, "metadata": {"payment": "pay_1"}}],
    "Reschedule": [{"start": "2026-11-25T10:00:00+01:00", "agreed": True}],
    "Cancel": [{"reason": "I am ill."}],
    "Decline": [{"reason": "This isn't what I do."}],
    "Attendance": [{"who": "client", "joined_at": "2026-11-24T10:02:00+01:00"}],
    "NoShow": [{"absent": "client", "note": "I waited for half an hour."}],
    "Documents": [{"delivered_at": "2026-11-24T18:00:00+01:00", "name": "meeting_summary"}, {"waived": True}],
    "Dispute": [{"text": "Nobody was there."}],
    "Extension": [{"minutes": 15, "paid_by": "consultation"}],
    "Decision": [{"refund": "full", "freelancer_paid": "no", "reason": "As a courtesy."}],
    "NewLink": [{"uses": 1, "expires_at": "2026-12-31T23:59:59+01:00", "client": _CLIENT, "metadata": {"deal": "7"}}],
    "Simulate": [{"consultation": {"increment_minutes": 30}, "schedule": {"hours": _HOURS}, "blocks": ["home/Work"]}],
    "NewFreelancer": [{"handle": "bob", "name": "Bob", "email": "bob@example.org", "time_zone": "Europe/Berlin"}],
    "FreelancerChange": [{"daily_limit": 6, "blocked_clients": ["@spam.example"], "remind_before_minutes": [1440]}],
    "NewSchedule": [{"name": "summer", "time_zone": "Europe/Berlin", "hours": _HOURS, "on": {"2026-12-24": []}}],
    "ScheduleSettings": [{"hours": _HOURS, "on": {"2026-12-24/2027-01-02": [], "2026-12-28": ["10:00-12:00"]}}],
    "NewConsultation": [
        {
            "slug": "intro",
            "title": "Intro call",
            "durations_minutes": [30, 60],
            "price": {"amount": "75.00", "currency": "EUR"},
            "questions": [{"id": "goal", "label": "What shall we achieve?", "required": True}],
        }
    ],
    "ConsultationSettings": [{"durations_minutes": [30, 60], "minimum_notice_minutes": 1440, "visibility": "private"}],
    "NewAccount": [
        {
            "provider": "caldav",
            "name": "home",
            "url": "https://dav.example/",
            "username": "ada",
            "password": "an app password",
            "blocks": ["Personal", "Work"],
            "target": "Work",
        },
        {"provider": "ics", "name": "feed", "url": "https://calendar.example/private.ics"},
    ],
    "AccountSettings": [{"when_stale": "serve", "sync_every_seconds": 300}],
    "CalendarChoice": [{"blocks": True, "target": False}],
    "NewKey": [{"scopes": ["slots:read", "bookings:read", "bookings:write"]}],
    "SlotsAnswer": [
        {
            "freelancer": "ada",
            "consultation": "intro",
            "duration_minutes": 30,
            "time_zone": "Europe/Berlin",
            "slots": {"2026-11-24": [_SLOT]},
            "meta": {"state": "fresh", "next_slot": None, "valid_until": "2026-11-23T09:00:00Z"},
        },
        {
            "freelancer": "ada",
            "consultation": "intro",
            "duration_minutes": 30,
            "time_zone": "Europe/Berlin",
            "periods": [{"start": "2026-11-24T10:00:00+01:00", "end": "2026-11-24T13:00:00+01:00"}],
            "increment_minutes": 15,
            "meta": {"state": "fresh", "next_slot": None, "valid_until": "2026-11-23T09:00:00Z"},
        },
    ],
    "Explanation": [
        {"bookable": True, "reasons": []},
        {"bookable": False, "reasons": [{"code": "outside_hours"}]},
    ],
    "Problem": [
        {
            "type": "urn:syncd:problem:slot-taken",
            "title": "This time is no longer free",
            "status": 409,
            "detail": "This time is no longer free: unavailable",
            "code": "slot-taken",
            "request_id": "5f2a9c0e1b7d4386",
            "reasons": [{"code": "unavailable"}],
            "alternatives": [_SLOT],
        },
        {
            "type": "urn:syncd:problem:invalid-request",
            "title": "The request can't be understood",
            "status": 422,
            "detail": "/client/email: must be an e-mail address",
            "code": "invalid-request",
            "request_id": "5f2a9c0e1b7d4386",
            "errors": [{"pointer": "/client/email", "code": "value_error", "detail": "must be an e-mail address"}],
        },
    ],
}
