"""`freelancer add`, `list`, `remove`: freelancers outside the configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import select

from syncd.cli.setup import opened
from syncd.cli.show import print_json, print_table, say
from syncd.errors import ApiError
from syncd.management import freelancers
from syncd.store.models import Freelancer


def add(config_path: Path, handle: str, values: Mapping[str, str | None], *, as_json: bool) -> int:
    """Add a freelancer; what isn't said is as the file has it by default. Raises ApiError."""
    with opened(config_path) as installation, installation.services.store.write() as session:
        services = installation.services
        said = {name: value for name, value in values.items() if value is not None}
        try:
            row = freelancers.add_freelancer(session, services.config, handle, said, services.clock())
        except ApiError as error:
            if any(found["pointer"] == "/handle" for found in error.errors):
                raise ApiError(error.code, f"the handle {handle!r} {error.detail}") from None
            raise
        shown = _json(row)
    if as_json:
        print_json(shown)
    else:
        say(f"{handle} is added, with everything of the {handle} who was removed, if there was one.")
        say(f"Next: `syncd connect caldav {handle}` connects calendars; set hours and consultations are added over")
        say(f"the API with a key of `syncd key create --freelancer {handle} --scope manage`, or in the file.")
    return 0


def show(config_path: Path, *, as_json: bool) -> int:
    """List freelancers, and where each is changed."""
    with opened(config_path) as installation, installation.services.store.read() as session:
        there = select(Freelancer).where(Freelancer.removed.is_(False)).order_by(Freelancer.handle)
        found = [_json(row) for row in session.scalars(there)]
    if as_json:
        print_json({"freelancers": found})
        return 0
    rows = [
        (row["handle"], row["name"], row["time_zone"], "active" if row["active"] else "inactive", _where(row))
        for row in found
    ]
    print_table(("handle", "name", "zone", "state", "changed in"), [tuple(map(str, row)) for row in rows])
    return 0


def remove(config_path: Path, handle: str, *, as_json: bool) -> int:
    """Remove a freelancer: shown nowhere, bookings kept, keys revoked. Raises ApiError."""
    with opened(config_path) as installation, installation.services.store.write() as session:
        row = freelancers.find_freelancer(session, handle)
        if row is None:
            raise ApiError("not-found", f"there is no freelancer {handle}: see `syncd freelancer list`")
        freelancers.remove_freelancer(session, row, installation.services.clock())
    if as_json:
        print_json({"handle": handle, "removed": True})
    else:
        say(f"{handle} is removed. Bookings are kept; `syncd forget {handle}` takes the person's data away as well.")
    return 0


def _json(row: Freelancer) -> dict[str, object]:
    return {
        "id": row.id,
        "handle": row.handle,
        "name": row.name,
        "email": row.email,
        "time_zone": row.tz,
        "active": row.active,
        "read_only": row.declared,
        "consultations": sorted(c.slug for c in row.consultations if not c.removed),
    }


def _where(row: Mapping[str, object]) -> str:
    return "configuration file" if row["read_only"] else "API, command line"
