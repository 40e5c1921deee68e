"""The command line's root, and the options that commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="syncd",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich would take longer to load than everything else `--help` needs
)
key_app = typer.Typer(help="API keys: made, listed, revoked.", no_args_is_help=True, rich_markup_mode=None)
connect_app = typer.Typer(help="Connect an account of a freelancer.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(key_app, name="key")
app.add_typer(connect_app, name="connect")


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        from importlib.metadata import version

        typer.echo(f"syncd {version('syncd')}")
        raise typer.Exit


_Version = Annotated[
    bool, typer.Option("--version", help="Say which version this is.", callback=_say_version, is_eager=True)
]


@app.callback()
def root(*, _version: _Version = False) -> None:
    """Turns a freelancer's calendars into bookable slots, and booked consultations into calendar events."""


ConfigPath = Annotated[Path, typer.Option("--config", help="The configuration file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT = Path("config.toml")
