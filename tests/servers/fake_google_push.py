"""How the fake Google server tells of changes: channels, and real requests to their addresses.

Documented (guide "Push notifications"): what a channel is made of and its limits (id of at most 64 characters, token of
256), that the address is https, the headers of a message, `sync` as the first with number 1 and `exists` after, that
numbers grow and needn't be consecutive, the life of a channel (604,800 seconds if nothing is said), and that there is
no renewal. Reported: the reasons of refusals (`push.webhookUrlNotHttps`, `channelIdNotUnique`) and the longest life.
Messages are sent by a thread of their own, one after another; none is sent twice.
"""

from __future__ import annotations

import queue
import re
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.utils import formatdate
from http.client import HTTPException
from zlib import crc32

from fake_google_calendars import Account, Calendar
from fake_google_schema import Json, Refusal, invalid

_USUAL, _LONGEST = 604_800, 30 * 86_400
_NOT_HTTPS = "push.webhookUrlNotHttps"


@dataclass
class Channel:
    """One channel; `number` is that of its last message."""

    id: str
    resource_id: str
    resource_uri: str
    address: str
    token: str
    expires_at: float
    email: str
    calendar_id: str
    number: int = 0

    def told(self) -> Json:
        """The channel as `watch` answers it."""
        kept = {"kind": "api#channel", "id": self.id, "resourceId": self.resource_id, "resourceUri": self.resource_uri}
        return kept | {"expiration": str(int(self.expires_at * 1000))} | ({"token": self.token} if self.token else {})

    def message(self, state: str) -> urllib.request.Request:
        """The next message."""
        headers = {
            "X-Goog-Channel-ID": self.id,
            "X-Goog-Message-Number": str(self.number),
            "X-Goog-Resource-ID": self.resource_id,
            "X-Goog-Resource-State": state,
            "X-Goog-Resource-URI": self.resource_uri,
            "X-Goog-Channel-Expiration": formatdate(self.expires_at, usegmt=True),
            "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
        }
        headers |= {"X-Goog-Channel-Token": self.token} if self.token else {}
        return urllib.request.Request(self.address, b"", headers, method="POST")


class Channels:
    """The channels of all people; what is told of is sent in the background."""

    def __init__(self) -> None:
        self.allow_http = False
        self.dropping = False  # messages get lost
        self.delivered: list[tuple[str, str, int]] = []  # channel id, state, status; 0 for no answer
        self.open: dict[str, Channel] = {}
        self._used: set[str] = set()
        self._due: queue.Queue[urllib.request.Request | None] = queue.Queue()
        self._thread: threading.Thread | None = None

    def watch(self, account: Account, calendar: Calendar, body: Json, base: str) -> Json:
        """Open a channel. Raises Refusal."""
        self._check(body)
        ends = float(body["expiration"]) / 1000 if body.get("expiration") else time.time() + _USUAL
        if ends <= time.time():
            raise invalid("Invalid channel expiration.", "expiration", "other")
        uri = f"{base}calendars/{calendar.id}/events?alt=json"
        channel = Channel(
            body["id"],
            f"r{crc32(f'{account.email} {calendar.id}'.encode()):x}",
            uri,
            body["address"],
            body.get("token") or "",
            min(ends, time.time() + _LONGEST),
            account.email,
            calendar.id,
        )
        self.open[channel.id] = channel
        self._used.add(channel.id)
        self._send(channel, "sync")
        return channel.told()

    def _check(self, body: Json) -> None:
        named, address = body.get("id") or "", body.get("address") or ""
        if body.get("type") not in ("web_hook", "webhook"):
            raise invalid(f"Unknown channel type {body.get('type')!r}", "type", "other", "push.channelTypeInvalid")
        if not re.fullmatch(r"[A-Za-z0-9\-_+/=]{1,64}", named):
            raise invalid("Invalid channel id.", "id", "other", "channelIdInvalid")
        if named in self._used:
            raise invalid(f"Channel id {named} not unique", "id", "other", "channelIdNotUnique")
        if not address.startswith(("https://", "http://") if self.allow_http else "https://"):
            raise invalid("WebHook callback must be HTTPS: " + address, "address", "other", _NOT_HTTPS)
        if len(body.get("token") or "") > 256:
            raise invalid("The channel token is too long.", "token", "other", "channelTokenTooLong")

    def stop_channel(self, account: Account, body: Json) -> None:
        """Close a channel. Raises Refusal 404."""
        channel = self.open.get(body.get("id") or "")
        if channel is None or channel.resource_id != body.get("resourceId") or channel.email != account.email:
            raise Refusal(404, "notFound", f"Channel '{body.get('id')}' not found for this project")
        del self.open[channel.id]

    def tell(self, account: Account, calendar: Calendar) -> None:
        """Tell of a change."""
        for channel in list(self.open.values()):
            watches_it = (channel.email, channel.calendar_id) == (account.email, calendar.id)
            if watches_it and channel.expires_at > time.time():
                self._send(channel, "exists")

    def _send(self, channel: Channel, state: str) -> None:
        channel.number += 1 if state == "sync" else 1 + channel.number % 3  # numbers skip
        if self.dropping and state != "sync":
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        self._due.put(channel.message(state))

    def _run(self) -> None:
        while (message := self._due.get()) is not None:
            told = dict(message.header_items())
            self.delivered.append((told["X-goog-channel-id"], told["X-goog-resource-state"], _deliver(message)))
            self._due.task_done()

    def settle(self) -> None:
        """Wait until all that is to be told was sent."""
        self._due.join()

    def forget(self) -> None:
        """Begin anew: no channel is open, and nothing is told any more."""
        self.settle()
        self.open.clear()
        self._used.clear()
        self.delivered.clear()
        self.allow_http, self.dropping = False, False

    def stop(self) -> None:
        """End the thread."""
        self._due.put(None)
        if self._thread is not None:
            self._thread.join()


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _deliver(message: urllib.request.Request) -> int:
    try:
        with _DIRECT.open(message, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, ValueError, HTTPException):
        return 0
