"""`export` and `forget`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from syncd.care import forget as forgetting
from syncd.care.export import export, write_export
from syncd.cli.asking import Asker, Question, yes_or_no
from syncd.cli.setup import opened
from syncd.cli.show import counted, print_json, say
from syncd.errors import ApiError


def run_export(config_path: Path, handle: str, path: Path | None, *, as_json: bool) -> int:
    """Print a freelancer's data, or write it to a new file. Raises ApiError."""
    with opened(config_path) as installation, installation.services.store.read() as session:
        document = export(session, handle, installation.services.clock())
    if path is None:
        print_json(document)
        return 0
    size, bookings = write_export(document, path), len(document["bookings"])
    if as_json:
        print_json({"file": str(path), "bytes": size, "freelancer": handle, "bookings": bookings})
    else:
        say(f"{path}: all that is kept of {handle}, {counted(bookings, 'booking')}, {size:,} bytes, its owner's alone.")
    return 0


def run_forget(config_path: Path, handle: str, *, yes: bool, even_if_owed: bool, as_json: bool) -> int:
    """Delete a freelancer's data, once a person has said so. Raises ApiError, WrongState, StoreError."""
    with opened(config_path) as installation:
        left = forgetting.standing(installation.services, handle)
        if not even_if_owed:
            forgetting.check_settled(left)
        if not yes and not _is_meant(left):
            say("Nothing was deleted.")
            return 1
        gone = forgetting.forget(installation.services, handle, even_if_owed=even_if_owed)
    if as_json:
        print_json({**asdict(gone), "dropped": {"to_come": left.coming, "owed": left.owed}})
        return 0
    calendars = f"{counted(gone.accounts, 'account')} with {counted(gone.calendars, 'calendar')}"
    say(f"{handle} is forgotten: {counted(gone.bookings, 'booking')}, {calendars}, and all settings.")
    if left.owed or left.coming:
        say(f"Dropped: {left.coming} to come, {left.owed} not written to a calendar.")
    if gone.permissions_owed:
        say("A permission couldn't be given back yet: the daemon, or `syncd run --once`, tries it for three days.")
    say("What was written to a calendar stays there. Backups made before keep what they hold.")
    return 0


def _is_meant(left: forgetting.Standing) -> bool:
    asker = Asker()
    if not asker.has_person:
        raise ApiError("invalid-request", "there is nobody to ask whether this is meant: --yes says so")
    text = f"Delete all that is kept of {left.name} ({left.handle}), for good? y/n"
    return asker.ask(Question(text, "--yes", yes_or_no, default="n"))
