"""A booking from the first look to its end, in a page of Python with nothing to install.

    python3 examples/booking.py http://127.0.0.1:8480 ada/intro

Looks, holds, confirms, moves and cancels, and prints what happens; `make demo` starts a daemon it can be tried on.
"""

import json
import sys
import uuid
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen


class Problem(Exception):
    """What the daemon refused, as it told it (RFC 9457): `code` says what, `alternatives` what would be free."""

    def __init__(self, document: dict) -> None:
        super().__init__(f"{document['code']}: {document['detail']}")
        self.code, self.alternatives = document["code"], document.get("alternatives", [])


def call(method: str, url: str, body: dict | None = None, token: str = "") -> dict:
    """One call. The Idempotency-Key makes it safe to send the same call again after a lost answer."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url, data, headers, method=method), timeout=30) as answer:  # noqa: S310 - it was typed in
            return json.load(answer)
    except HTTPError as error:
        raise Problem(json.load(error)) from None


def free_starts(offer: str, token: str = "", **more: str) -> list[str]:
    """The starts that can be booked from three days on, for three weeks."""
    first = datetime.now(UTC).date() + timedelta(days=3)
    asked = urlencode({"start": first, "end": first + timedelta(days=21), **more})
    answer = call("GET", f"{offer}/slots?{asked}", token=token)
    return [slot["start"] for day in answer["slots"].values() for slot in day]


def hold(offer: str) -> dict:
    """Hold the first free time; if another client was faster, the nearest one that is left."""
    start = free_starts(offer)[0]
    while True:
        try:
            return call("POST", f"{offer}/bookings", {"start": start, "hold_minutes": 10})
        except Problem as problem:
            if problem.code != "slot-taken" or not problem.alternatives:
                raise
            start = problem.alternatives[0]["start"]


def main(server: str, name: str) -> None:
    """Live through one booking."""
    offer = f"{server}/v1/{name}"
    booking = hold(offer)
    print(f"{booking['start']} is held as {booking['id']} until {booking['hold_expires_at']}.")
    url, token = f"{server}/v1/bookings/{booking['id']}", booking["token"]

    client = {"name": "Zoe Client", "email": "zoe@example.org", "time_zone": "Europe/Madrid"}
    booking = call("POST", f"{url}/confirm", {"client": client}, token)
    print(f"Now it is {booking['state']}; cancelling is free until {booking['free_cancellation_until']}.")

    later = free_starts(offer, token, rescheduling=booking["id"])[-1]
    booking = call("POST", f"{url}/reschedule", {"start": later}, token)
    print(f"It was moved to {booking['start']} (revision {booking['revision']}).")

    booking = call("POST", f"{url}/cancel", {"reason": "my plans have changed"}, token)
    print(f"It is {booking['state']}; refund: {booking['outcome']['refund']}.")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Problem as problem:
        sys.exit(f"The daemon says: {problem}")
