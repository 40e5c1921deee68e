"""The commands that set up, check and look after an installation. What they do lives elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from syncd.cli import completion
from syncd.cli.app import DEFAULT, AsJson, ConfigPath, app


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
        typer.Option("--preset", help="Where your calendar is, such as icloud.", autocompletion=completion.presets),
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="Its address, where no preset has it.")] = None,
    server: Annotated[str | None, typer.Option("--server", help="The server's name, for presets that ask it.")] = None,
    username: Annotated[str | None, typer.Option("--username", help="The user name there.")] = None,
    blocks: Annotated[
        list[str] | None, typer.Option("--blocks", help='A calendar that blocks; may be repeated; "*" is all.')
    ] = None,
    target: Annotated[str | None, typer.Option("--target", help="The calendar that takes consultations.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take what would be proposed.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file; the old one is kept.")] = False,
    as_json: AsJson = False,
) -> int:
    """Set up: a few questions, then the configuration file.

    Tries your calendar before anything is written. Answers may be piped, one a line; the password is never an option.
    """
    from syncd.cli.connecting import Wish
    from syncd.cli.init import InitWish, init

    account = Wish("caldav", "", "caldav", url, username, preset, server, blocks, target)
    wish = InitWish(name, handle, email, time_zone, hours, title, slug, minutes, account, yes, overwrite)
    return init(Path(config), wish, as_json=as_json)
