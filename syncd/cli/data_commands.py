"""The commands about the data as a whole, and their arguments. What they do lives elsewhere."""

# Annotations are read when the module is loaded, not as texts for each option: `--help` is faster by a third.
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli import completion
from syncd.cli.app import DEFAULT, AsJson, ConfigPath, app


@app.command()
def export(
    freelancer: Annotated[
        str, typer.Argument(help="Whose data.", metavar="FREELANCER", autocompletion=completion.handles)
    ],
    file: Annotated[Path | None, typer.Argument(help="Where to write it; else it is printed.", metavar="FILE")] = None,
    config: ConfigPath = DEFAULT,
    as_json: AsJson = False,
) -> int:
    """All data of one freelancer as JSON, without secrets.

    Profile, schedules, consultations, accounts with their calendars, links, keys, bookings with what was done to them.
    """
    from syncd.cli.export import run_export

    return run_export(config, freelancer, file, as_json=as_json)


@app.command()
def forget(
    freelancer: Annotated[
        str, typer.Argument(help="Who is to be forgotten.", metavar="FREELANCER", autocompletion=completion.handles)
    ],
    config: ConfigPath = DEFAULT,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    even_if_owed: Annotated[
        bool, typer.Option("--even-if-owed", help="Drop consultations to come, and writes owed to a calendar.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Delete all data of one freelancer, for good.

    Take a freelancer that the configuration file declares out of it first. Backups keep what they hold.
    """
    from syncd.cli.export import run_forget

    return run_forget(config, freelancer, yes=yes, even_if_owed=even_if_owed, as_json=as_json)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="A file that isn't there yet.", metavar="FILE")],
    config: ConfigPath = DEFAULT,
    as_json: AsJson = False,
) -> int:
    """Copy the database to a new file, also while the daemon runs.

    The secret key is not in it: keep a copy of it elsewhere.
    """
    from syncd.cli.backup import run_backup

    return run_backup(config, file, as_json=as_json)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `syncd backup` made.", metavar="FILE")],
    config: ConfigPath = DEFAULT,
    as_json: AsJson = False,
) -> int:
    """Put a backup in the database's place, while no daemon runs.

    The database there was is kept beside it. Calendars are read in full before slots are offered again.
    """
    from syncd.cli.backup import run_restore

    return run_restore(config, file, as_json=as_json)
