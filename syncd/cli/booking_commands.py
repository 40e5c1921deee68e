"""The commands of the booking life and their arguments. What they do lives elsewhere."""

# Annotations are read when the module is loaded, not as texts for each option: `--help` is faster by a third.
from typing import Annotated, Literal

import typer

from syncd.cli import completion
from syncd.cli.app import DEFAULT, AsJson, ConfigPath, app

Side = Literal["client", "freelancer"]

BookingId = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="The booking's id, as `syncd bookings` shows it.", autocompletion=completion.live_bookings
    ),
]
Start = Annotated[
    str, typer.Argument(metavar="START", help="Such as 2026-12-01T10:00, in the freelancer's zone or with an offset.")
]
ActAs = Annotated[Side, typer.Option("--as", help="Who acts.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why.")]
Name = Annotated[str | None, typer.Option("--name", help="The client's name.")]
Email = Annotated[str | None, typer.Option("--email", help="The client's e-mail address.")]
Phone = Annotated[str | None, typer.Option("--phone", help="The client's telephone number.")]
Answers = Annotated[
    list[str] | None, typer.Option("--answer", metavar="ID=ANSWER", help="To a question; may be repeated.")
]


@app.command()
def book(
    offer: Annotated[
        str, typer.Argument(help="FREELANCER/CONSULTATION, such as ada/intro.", autocompletion=completion.offers)
    ],
    start: Start,
    config: ConfigPath = DEFAULT,
    name: Name = None,
    email: Email = None,
    phone: Phone = None,
    duration: Annotated[int | None, typer.Option("--duration", help="Minutes.")] = None,
    hold: Annotated[
        str | None, typer.Option("--hold", metavar="10m", help="Hold it so long; --name and --email may come later.")
    ] = None,
    note: Annotated[str | None, typer.Option("--note", help="What the client wants to say.")] = None,
    answer: Answers = None,
    side: ActAs = "freelancer",
    as_json: AsJson = False,
) -> int:
    """Book a start, or hold it.

    The freelancer's own word needs no approval and no answers; --as client books as a client would.
    """
    from syncd.cli.booking import BookWish, Person
    from syncd.cli.booking import book as do

    person = Person(name, email, phone, note, answer or ())
    return do(config, BookWish(offer, start, person, duration, hold, side), as_json=as_json)


@app.command()
def confirm(
    booking_id: BookingId,
    config: ConfigPath = DEFAULT,
    name: Name = None,
    email: Email = None,
    phone: Phone = None,
    answer: Answers = None,
    side: ActAs = "freelancer",
    as_json: AsJson = False,
) -> int:
    """Make a booking of a hold. What is given replaces what the hold has."""
    from syncd.cli.booking import Person
    from syncd.cli.booking import confirm as do

    return do(config, booking_id, Person(name, email, phone, None, answer or ()), side, as_json=as_json)


@app.command()
def reschedule(
    booking_id: BookingId,
    start: Start,
    config: ConfigPath = DEFAULT,
    side: ActAs = "freelancer",
    as_json: AsJson = False,
) -> int:
    """Move a booking to another start."""
    from syncd.cli.booking import reschedule as do

    return do(config, booking_id, start, side, as_json=as_json)


@app.command()
def cancel(
    booking_id: BookingId,
    config: ConfigPath = DEFAULT,
    reason: Reason = None,
    side: ActAs = "freelancer",
    as_json: AsJson = False,
) -> int:
    """Cancel a booking before its start, and say what follows for both sides."""
    from syncd.cli.booking import cancel as do

    return do(config, booking_id, reason, side, as_json=as_json)


@app.command()
def approve(booking_id: BookingId, config: ConfigPath = DEFAULT, as_json: AsJson = False) -> int:
    """Confirm a booking that waits for approval."""
    from syncd.cli.booking import approve as do

    return do(config, booking_id, as_json=as_json)


@app.command()
def decline(booking_id: BookingId, config: ConfigPath = DEFAULT, reason: Reason = None, as_json: AsJson = False) -> int:
    """Refuse a booking that waits for approval."""
    from syncd.cli.booking import decline as do

    return do(config, booking_id, reason, as_json=as_json)


@app.command()
def bookings(
    what: Annotated[str, typer.Argument(metavar="[list|show]", help="The list, or one of them.")] = "list",
    booking_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="Which one to show.", autocompletion=completion.bookings)
    ] = None,
    config: ConfigPath = DEFAULT,
    since: Annotated[str | None, typer.Option("--from", help="The first day or instant; by default today.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="The last day, or the instant before which.")] = None,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help="Such as confirmed; may be repeated.", autocompletion=completion.states),
    ] = None,
    freelancer: Annotated[
        str | None, typer.Option("--freelancer", help="Whose.", autocompletion=completion.handles)
    ] = None,
    consultation: Annotated[
        str | None,
        typer.Option("--consultation", help="Which; as intro or ada/intro.", autocompletion=completion.offers),
    ] = None,
    client: Annotated[str | None, typer.Option("--client", help="The client's e-mail address.")] = None,
    updated_since: Annotated[str | None, typer.Option("--updated-since", help="Changed since, oldest first.")] = None,
    tz: Annotated[
        str | None, typer.Option("--tz", help="Where the days lie; else in UTC.", autocompletion=completion.zones)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="How many at most.")] = 200,
    cursor: Annotated[str | None, typer.Option("--cursor", help="Go on behind a page: its next_cursor.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is past.")] = False,
    as_json: AsJson = False,
) -> int:
    """Bookings: the list from today on, or with `show ID` everything about one."""
    from syncd.cli.bookings import ListWish, show_booking, show_list

    if what == "show" and booking_id:
        return show_booking(config, booking_id, as_json=as_json)
    if what != "list" or booking_id:
        raise typer.BadParameter("right would be `syncd bookings`, or `syncd bookings show ID`")
    wish = ListWish(
        since, until, state or (), freelancer, consultation, client, updated_since, tz, limit, cursor, everything
    )
    return show_list(config, wish, as_json=as_json)


@app.command()
def case(booking_id: BookingId, config: ConfigPath = DEFAULT, as_json: AsJson = False) -> int:
    """A booking's whole history, with all that is known of it."""
    from syncd.cli.bookings import show_booking

    return show_booking(config, booking_id, as_json=as_json)


@app.command()
def outbox(
    what: Annotated[str, typer.Argument(metavar="[list|retry|drop]", help="What to do.")] = "list",
    booking_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="Of which booking.", autocompletion=completion.bookings)
    ] = None,
    config: ConfigPath = DEFAULT,
    as_json: AsJson = False,
) -> int:
    """What is owed to calendars.

    `retry` tries all of it, or that of one booking, at once; `drop ID` leaves a booking's calendar as it is.
    """
    from syncd.cli.outbox import drop_owed, retry_owed, show_owed

    if what == "retry":
        return retry_owed(config, booking_id, as_json=as_json)
    if what == "drop" and booking_id:
        return drop_owed(config, booking_id, as_json=as_json)
    if what != "list" or booking_id:
        raise typer.BadParameter("right would be `syncd outbox`, `syncd outbox retry [ID]` or `syncd outbox drop ID`")
    return show_owed(config, as_json=as_json)
