"""The commands that set up, check and look after an installation. What they do lives elsewhere."""

# Annotations are read when the module is loaded, not as texts for each option: `--help` is faster by a third.
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli import completion
from syncd.cli.app import DEFAULT, AsJson, ConfigPath, app

freelancer_app = typer.Typer(
    help="Freelancers outside the configuration file.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(freelancer_app, name="freelancer")
Handle = Annotated[str, typer.Argument(metavar="HANDLE", autocompletion=completion.handles)]


@app.command()
def init(
    config: ConfigPath = DEFAULT,
    name: Annotated[str | None, typer.Option("--name", help="Your name, as clients see it.")] = None,
    handle: Annotated[str | None, typer.Option("--handle", help="The word in your addresses, such as ada.")] = None,
    email: Annotated[str | None, typer.Option("--email", help="Your e-mail address.")] = None,
    time_zone: Annotated[
        str | None,
        typer.Option("--time-zone", help="Your zone, such as Europe/London.", autocompletion=completion.zones),
    ] = None,
    hours: Annotated[str | None, typer.Option("--hours", help='Set hours: "mon-fri 9-12 13-17, sat 10-14".')] = None,
    title: Annotated[str | None, typer.Option("--title", help="What can be booked.")] = None,
    slug: Annotated[str | None, typer.Option("--slug", help="Its address; by default made of the title.")] = None,
    minutes: Annotated[str | None, typer.Option("--minutes", help='How long it takes: 30, or "30 60".')] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset", help="Where your calendar is: a name as in `connect caldav`.", autocompletion=completion.presets
        ),
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="Its address, where no preset has it.")] = None,
    server: Annotated[str | None, typer.Option("--server", help="The server's name, for presets that ask it.")] = None,
    username: Annotated[str | None, typer.Option("--username", help="The user name there.")] = None,
    blocks: Annotated[
        list[str] | None, typer.Option("--blocks", help='A calendar that blocks; may be repeated; "*" is all.')
    ] = None,
    target: Annotated[str | None, typer.Option("--target", help="The calendar that takes consultations.")] = None,
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", help="Certificates of its server, if they are its own.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take what would be proposed.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file; the old one is kept.")] = False,
    as_json: AsJson = False,
) -> int:
    """Set up: a few questions, then the configuration file.

    Tries your calendar before anything is written. Answers may be piped, one a line, in the order of the questions; the
    password is never an option.
    """
    from syncd.cli.connecting import Wish
    from syncd.cli.init import InitWish, init

    account = Wish("caldav", "", "caldav", url, username, preset, server, blocks, target, ca_file=ca_file)
    wish = InitWish(name, handle, email, time_zone, hours, title, slug, minutes, account, yes, overwrite)
    return init(Path(config), wish, as_json=as_json)


@app.command()
def doctor(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> int:
    """What isn't right, and what to do about it.

    Looks at configuration, clock, database, secret key, accounts (really asks), zones, settings that can never offer a
    slot. Exits with 0 if all is well, 1 if there is something to mend, 78 for mistakes in the configuration.
    """
    from syncd.cli.doctor import doctor

    return doctor(config, as_json=as_json)


@app.command()
def calendars(
    freelancer: Annotated[
        str | None, typer.Argument(help="Only this freelancer's.", autocompletion=completion.handles)
    ] = None,
    config: ConfigPath = DEFAULT,
    blocks: Annotated[
        list[str] | None,
        typer.Option("--blocks", help="Let it block; may be repeated.", autocompletion=completion.calendars),
    ] = None,
    free: Annotated[
        list[str] | None,
        typer.Option("--free", help="Let it block no more; may be repeated.", autocompletion=completion.calendars),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", help="Write consultations to it; or none.", autocompletion=completion.calendars),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """The calendars there are; which of them block, and which takes consultations.

    A calendar is named by itself, as "account/calendar", or by its id.
    """
    from syncd.cli.calendars import CalendarsWish, show_calendars

    return show_calendars(config, CalendarsWish(freelancer, blocks or (), free or (), target), as_json=as_json)


@app.command()
def disconnect(
    account: Annotated[str, typer.Argument(help="ACCOUNT or FREELANCER/ACCOUNT.", autocompletion=completion.accounts)],
    config: ConfigPath = DEFAULT,
    as_json: AsJson = False,
) -> int:
    """Disconnect an account: its calendars block no more. Bookings are kept."""
    from syncd.cli.calendars import disconnect_account

    return disconnect_account(config, account, as_json=as_json)


@freelancer_app.command("add")
def freelancer_add(
    handle: Annotated[str, typer.Argument(metavar="HANDLE", help="The word in the addresses, such as ada.")],
    time_zone: Annotated[
        str, typer.Option("--time-zone", help="The zone, such as Europe/London.", autocompletion=completion.zones)
    ],
    config: ConfigPath = DEFAULT,
    name: Annotated[str | None, typer.Option("--name", help="The name, as clients see it.")] = None,
    email: Annotated[str | None, typer.Option("--email", help="The e-mail address.")] = None,
    as_json: AsJson = False,
) -> int:
    """Add a freelancer; one who was removed comes back."""
    from syncd.cli.freelancers import add

    return add(config, handle, {"name": name, "email": email, "time_zone": time_zone}, as_json=as_json)


@freelancer_app.command("list")
def freelancer_list(config: ConfigPath = DEFAULT, as_json: AsJson = False) -> int:
    """The freelancers there are."""
    from syncd.cli.freelancers import show

    return show(config, as_json=as_json)


@freelancer_app.command("remove")
def freelancer_remove(handle: Handle, config: ConfigPath = DEFAULT, as_json: AsJson = False) -> int:
    """Remove a freelancer. Bookings are kept, API keys revoked."""
    from syncd.cli.freelancers import remove

    return remove(config, handle, as_json=as_json)
