"""`demo`: sets everything up in a temporary folder, says where it is, runs until Ctrl-C, and takes it all away."""

from __future__ import annotations

import json
import secrets
import signal
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from caldav.davclient import DAVClient
from sqlalchemy import select

from availability import zones
from syncd.cli.keys import make_key
from syncd.config import load_config
from syncd.daemon import Daemon, listen
from syncd.demo import calendar_server
from syncd.demo.calendar_server import USERNAME, CalendarServer
from syncd.demo.week import week_of
from syncd.errors import SyncdError
from syncd.log import configure_logging
from syncd.services import Services, open_locks, open_services, utc_now
from syncd.store.keys import SCOPES
from syncd.store.models import Account

HANDLE, SLUG = "ada", "intro"
_CALENDARS = ("Personal", "Work")
_PATIENCE = 60.0  # seconds
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # the last when its terminal is closed
_MAKE_CALENDAR = """<?xml version="1.0" encoding="utf-8"?>
<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>
<D:displayname>{name}</D:displayname>
<C:supported-calendar-component-set><C:comp name="VEVENT"/></C:supported-calendar-component-set>
</D:prop></D:set></C:mkcalendar>"""
_CONFIG = """
[daemon]
public_url = "{url}"
sync_every = "10s"
allow_private_networks = true

[server]
port = {port}
rate_limits = {{ feed = "100000/minute", booking = "100000/minute", instant = "100000/minute" }}

[freelancers.ada]
name = "Ada Lovelace"
email = "ada@example.org"
time_zone = "Europe/London"

[freelancers.ada.schedules.default.hours]
monday = ["09:00-12:30", "13:30-17:30"]
tuesday = ["09:00-12:30", "13:30-17:30"]
wednesday = ["09:00-12:30", "13:30-17:30"]
thursday = ["09:00-12:30", "13:30-17:30"]
friday = ["09:00-13:00"]

[freelancers.ada.consultations.intro]
title = "Intro call"
durations = ["30m", "60m"]
increment = "15m"
minimum_notice = "4h"
horizon = "60d"
buffer_after = "10m"

[freelancers.ada.accounts.home]
provider = "caldav"
url = "{caldav_url}"
username = "{username}"
password_env = "DEMO_PASSWORD"
blocks = ["Personal", "Work"]
target = "Work"
"""


@dataclass(frozen=True, slots=True)
class _Demo:
    """What runs, and where."""

    url: str
    server: CalendarServer
    calendars: dict[str, str]
    services: Services
    database: Path
    api_key: str


def run_demo(*, port: int, as_json: bool) -> int:
    """Run until Ctrl-C or SIGTERM; leaves nothing behind."""
    zones.pin()
    configure_logging(level="warning")
    told_to_end: list[int] = []  # remembered, not raised: what a handler raises may be lost in somebody's finaliser
    for number in _ENDING:
        signal.signal(number, lambda number, _: told_to_end.append(number))
    with TemporaryDirectory(prefix="syncd-demo-") as name, closing(listen("127.0.0.1", port)) as listener:
        folder = Path(name)
        server = calendar_server.start(folder / "radicale", secrets.token_urlsafe(9))
        try:
            calendars = _fill(server)
            config_path = folder / "config.toml"
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            text = _CONFIG.format(url=url, port=port, caldav_url=server.url, username=USERNAME)
            config_path.write_text(text, encoding="utf-8")
            config = load_config(config_path, {"DEMO_PASSWORD": server.password})
            locks = open_locks(config)
            services = open_services(config)
            _, api_key = make_key(services, HANDLE, list(SCOPES))
            demo = _Demo(url, server, calendars, services, folder / "syncd.db", api_key)
            daemon = Daemon(services, locks, listener, config_path)
            locks.become_daemon()
            for number in _ENDING:
                signal.signal(number, lambda *_: daemon.stop())
            if told_to_end:
                daemon.stop()
            daemon.run(on_ready=lambda: _announce(demo, daemon, as_json=as_json))
            services.store.close()
            locks.close()
        finally:
            server.stop()
    return 0


def _fill(server: CalendarServer) -> dict[str, str]:
    """Make the calendars and the week in them, as any client would; returns name → URL."""
    made = {name: f"{server.url}{USERNAME}/{name.lower()}/" for name in _CALENDARS}
    client = DAVClient(
        url=server.url,
        username=USERNAME,
        password=server.password,
        auth_type="basic",
        enable_rfc6764=False,
        require_tls=False,
    )
    with client:
        for name, url in made.items():
            client.mkcalendar(url, _MAKE_CALENDAR.format(name=name))
        for entry in week_of(utc_now().date()):
            headers = {"Content-Type": "text/calendar; charset=utf-8"}
            client.put(f"{made[entry.calendar]}{entry.uid}.ics", entry.to_ical().decode(), headers)
    return made


def _announce(demo: _Demo, daemon: Daemon, *, as_json: bool) -> None:
    """Wait for the first pull, then say where everything is; nothing if the demo is ended before."""
    if not _is_pulled(demo.services, daemon):
        return
    sys.stdout.write(json.dumps(_as_json(demo)) + "\n" if as_json else _as_text(demo))
    sys.stdout.flush()


def _is_pulled(services: Services, daemon: Daemon) -> bool:
    """Wait until every calendar was pulled once; False if the daemon is stopped before. Raises SyncdError."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if daemon.is_stopping:
            return False
        with services.store.read() as session:
            calendars = [c for a in session.scalars(select(Account)) for c in a.calendars]
            if calendars and all(calendar.synced_at for calendar in calendars):
                return True
        time.sleep(0.05)
    message = "the demo's calendars could not be pulled"
    raise SyncdError(message)


def _as_json(demo: _Demo) -> dict[str, object]:
    return {
        "url": demo.url,
        "freelancer": HANDLE,
        "consultation": SLUG,
        "api_key": demo.api_key,
        "login_url": None,
        "caldav": {
            "url": demo.server.url,
            "username": USERNAME,
            "password": demo.server.password,
            "calendars": demo.calendars,
        },
        "database": str(demo.database),
    }


def _as_text(demo: _Demo) -> str:
    today = demo.services.clock().date()
    slots = f"{demo.url}/v1/{HANDLE}/{SLUG}/slots?start={today}&end={today + timedelta(days=6)}"
    calendars = "\n".join(f"             {name}: {url}" for name, url in demo.calendars.items())
    return f"""
Ada Lovelace sells half-hour intro calls. Her calendars are pulled every ten seconds.

  slots      {slots}
  API        {demo.url}/openapi.json
  API key    {demo.api_key}
  calendars  {demo.server.url} as {USERNAME}, password {demo.server.password}
{calendars}
  database   {demo.database}

Try:

  curl '{slots}'

Ctrl-C stops it and leaves nothing behind.
"""
