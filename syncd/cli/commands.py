"""The commands and their arguments. What they do lives elsewhere and is imported when it is used."""

# Annotations are read when the module is loaded, not as texts for each option: `--help` is faster by a third.
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli import completion
from syncd.cli.app import DEFAULT, AsJson, ConfigPath, app, connect_app, key_app


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="The HTTP server's port; 0 picks a free one.")] = 8480,
    as_json: AsJson = False,
) -> int:
    """Try it, with nothing to configure.

    Starts a calendar server with a busy week and the daemon on it, says where they are, and runs until Ctrl-C.
    """
    from syncd.cli.demo import run_demo

    return run_demo(port=port, as_json=as_json)


@app.command(name="run")
def run_command(
    config: ConfigPath = DEFAULT,
    once: Annotated[bool, typer.Option("--once", help="One full pass, then exit: for cron and timers.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --once: only say what it would do.")] = False,
    as_json: AsJson = False,
) -> int:
    """The daemon, until it is told to stop.

    Pulls calendars, writes bookings back, serves HTTP; stops cleanly on SIGTERM.
    """
    from syncd.cli.running import run_forever, run_pass

    if dry_run:
        if not once:
            raise typer.BadParameter("--dry-run belongs to --once: the daemon itself has no end to tell of")
        from syncd.cli.rehearsing import rehearse
        from syncd.jobs.due import Order

        return rehearse(config, None, Order(insist=True), as_json=as_json)
    return run_pass(config, as_json=as_json) if once else run_forever(config)


@app.command()
def sync(
    freelancer: Annotated[
        str | None, typer.Argument(help="Only this freelancer's accounts.", autocompletion=completion.handles)
    ] = None,
    config: ConfigPath = DEFAULT,
    full: Annotated[bool, typer.Option("--full", help="Pull everything anew, and believe large removals.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be pulled and written.")] = False,
    as_json: AsJson = False,
) -> int:
    """Pull now."""
    if dry_run:
        from syncd.cli.rehearsing import rehearse
        from syncd.jobs.due import Order

        return rehearse(config, freelancer, Order(everything=True, full=full), as_json=as_json)
    from syncd.cli.running import sync_now

    return sync_now(config, freelancer, full=full, as_json=as_json)


@app.command()
def slots(
    offer: Annotated[
        str, typer.Argument(help="FREELANCER/CONSULTATION, such as ada/intro.", autocompletion=completion.offers)
    ],
    config: ConfigPath = DEFAULT,
    since: Annotated[str | None, typer.Option("--from", help="The first day, such as 2026-12-01.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="The last day.")] = None,
    tz: Annotated[str | None, typer.Option("--tz", help="Show times in this zone.")] = None,
    duration: Annotated[int | None, typer.Option("--duration", help="Minutes.")] = None,
    week: Annotated[
        bool | None, typer.Option("--week/--no-week", help="A picture of the days; by default on a terminal.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """The slots a client can book now."""
    from syncd.cli.looking import SlotsWish, show_slots

    return show_slots(config, SlotsWish(offer, since, until, tz, duration, week), as_json=as_json)


@app.command()
def explain(
    offer: Annotated[
        str, typer.Argument(help="FREELANCER/CONSULTATION, such as ada/intro.", autocompletion=completion.offers)
    ],
    at: Annotated[str, typer.Argument(help="A start, such as 2026-12-01T10:00 (in the freelancer's zone).")],
    config: ConfigPath = DEFAULT,
    duration: Annotated[int | None, typer.Option("--duration", help="Minutes.")] = None,
    as_json: AsJson = False,
) -> int:
    """Why that start is or is not offered."""
    from syncd.cli.looking import show_reasons

    return show_reasons(config, offer, at, duration, as_json=as_json)


@app.command()
def busy(
    source: Annotated[str, typer.Argument(metavar="FILE|URL", help='A calendar file, "-", https://… or webcal://…')],
    tz: Annotated[
        str | None, typer.Option("--tz", help="Where dates and floating times lie; else the file's own zone, else UTC.")
    ] = None,
    since: Annotated[
        list[str] | None, typer.Option("--from", help="A day or a time; may be repeated, each with its --to.")
    ] = None,
    until: Annotated[list[str] | None, typer.Option("--to", help="The last day, or a time.")] = None,
    email: Annotated[
        list[str] | None, typer.Option("--email", help="Whose answers to invitations count; may be repeated.")
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="It may lead to a private network that wasn't named.")
    ] = False,
    config: Annotated[Path, typer.Option("--config", help="Not needed, and not read.")] = DEFAULT,
    as_json: AsJson = False,
) -> int:
    """What a calendar file blocks, and what in it is not understood.

    Needs no configuration. Without --from and --to: today and the 90 days that follow.
    """
    del config
    from syncd.cli.busy import BusyWish, show_busy

    wish = BusyWish(source, tz, since or (), until or (), email or (), allow_private)
    return show_busy(wish, datetime.now(UTC), as_json=as_json)


@app.command()
def status(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> int:
    """Accounts, calendars and what is owed, at a glance."""
    from syncd.cli.looking import show_status

    return show_status(config, as_json=as_json)


@app.command()
def accounts(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> int:
    """What is connected, its state, when it was last pulled, and what its server was seen to do."""
    from syncd.cli.looking import show_accounts

    return show_accounts(config, as_json=as_json)


Whose = Annotated[
    str, typer.Argument(help="Whose account it is.", metavar="FREELANCER", autocompletion=completion.handles)
]
Blocks = Annotated[
    list[str] | None, typer.Option("--blocks", help='A calendar that blocks; may be repeated; "*" is all.')
]
Private = Annotated[bool, typer.Option("--allow-private", help="It may be on a private network.")]
CaFile = Annotated[Path | None, typer.Option("--ca-file", help="Certificates of its server, if they are its own.")]


@connect_app.command("caldav")
def connect_caldav(
    freelancer: Whose,
    config: ConfigPath = DEFAULT,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="Where it is: icloud, fastmail, nextcloud, mailbox.org, posteo, gmx, yahoo, zimbra, radicale, own.",
            autocompletion=completion.presets,
        ),
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="The server's, principal's or calendar's address.")] = None,
    server: Annotated[
        str | None, typer.Option("--server", help="The server's name, for a preset of which everyone has their own.")
    ] = None,
    username: Annotated[str | None, typer.Option("--username", help="The user name there.")] = None,
    name: Annotated[str, typer.Option("--name", help='Its name, as in "account/calendar".')] = "caldav",
    blocks: Blocks = None,
    target: Annotated[str | None, typer.Option("--target", help="The calendar consultations are written to.")] = None,
    prove: Annotated[
        bool, typer.Option("--prove", help="Write, change and remove a throwaway event in --target to see it work.")
    ] = False,
    allow_private: Private = False,
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> int:
    """Connect a CalDAV account, or give one that is connected a new password.

    Asks for what wasn't said; the password may be piped. Sees what the server does with each calendar.
    """
    from syncd.cli.connecting import Wish, connect

    wish = Wish(
        *("caldav", freelancer, name, url, username, preset, server, blocks, target), allow_private, ca_file, prove
    )
    return connect(config, wish, as_json=as_json)


@connect_app.command("google")
def connect_google(
    freelancer: Whose,
    config: ConfigPath = DEFAULT,
    name: Annotated[str, typer.Option("--name", help='Its name, as in "account/calendar".')] = "google",
    blocks: Blocks = None,
    target: Annotated[
        str | None, typer.Option("--target", help="The calendar consultations are written to; or none.")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser, only print the address.")] = False,
    port: Annotated[
        int,
        typer.Option(
            "--port", min=0, max=65535, help="Of the redirect to 127.0.0.1, where the OAuth client fixes it; 0: any."
        ),
    ] = 0,
    prove: Annotated[
        bool, typer.Option("--prove", help="Write, change and remove a throwaway event in --target to see it work.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Connect a Google account, or give one that is connected a new permission.

    Permission is given in a browser; for whatever the chosen calendars need besides it is asked once more.
    """
    from syncd.cli.connecting_google import GoogleWish
    from syncd.cli.connecting_google import connect_google as connect

    return connect(config, GoogleWish(freelancer, name, blocks, target, not no_browser, port, prove), as_json=as_json)


@connect_app.command("ics")
def connect_ics(
    freelancer: Whose,
    config: ConfigPath = DEFAULT,
    url: Annotated[str | None, typer.Option("--url", help="The feed's address: webcal://… or https://…")] = None,
    username: Annotated[str | None, typer.Option("--username", help="The user name, if the feed asks for one.")] = None,
    name: Annotated[str, typer.Option("--name", help='Its name, as in "account/calendar".')] = "ics",
    blocks: Blocks = None,
    allow_private: Private = False,
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> int:
    """Connect a calendar feed (an .ics address), which is read and never written to.

    Its address is kept sealed, like a password.
    """
    from syncd.cli.connecting import Wish, connect

    wish = Wish("ics", freelancer, name, url, username, None, None, blocks, "", allow_private, ca_file)
    return connect(config, wish, as_json=as_json)


@key_app.command("create")
def key_create(
    config: ConfigPath = DEFAULT,
    freelancer: Annotated[
        str | None, typer.Option("--freelancer", help="Only for this freelancer.", autocompletion=completion.handles)
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            help="slots:read, bookings:read, bookings:write (these by default), manage; repeatable.",
            autocompletion=completion.scopes,
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Make a key and show it, once."""
    from syncd.cli.keys import create

    return create(config, freelancer, scope, as_json=as_json)


@key_app.command("list")
def key_list(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> int:
    """The keys there are, without their texts."""
    from syncd.cli.keys import show

    return show(config, as_json=as_json)


@key_app.command("revoke")
def key_revoke(
    key_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The key's id, as `syncd key list` shows it.", autocompletion=completion.keys
        ),
    ],
    config: ConfigPath = DEFAULT,
    as_json: AsJson = False,
) -> int:
    """Revoke a key at once."""
    from syncd.cli.keys import revoke

    return revoke(config, key_id, as_json=as_json)
