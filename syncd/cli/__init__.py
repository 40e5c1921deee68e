"""The command line: arguments become calls, errors become sentences and exit codes, here and nowhere else."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import cast

_WRONG_USAGE = 2
_IN_ORDER_OF_HELP = ("care_commands", "commands", "booking_commands", "data_commands")


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; every foreseen error is one sentence on stderr."""
    for module in _IN_ORDER_OF_HELP:
        import_module(f"syncd.cli.{module}")  # which registers its commands
    from syncd.cli.app import app
    from syncd.cli.show import print_whatever_comes

    print_whatever_comes()
    try:
        result = app(arguments, standalone_mode=False)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - every error of every command ends here
        return _report(error)
    return result if isinstance(result, int) else 0


def _report(error: Exception) -> int:
    """Say what went wrong and return the exit code; what nobody foresaw keeps its traceback."""
    import typer
    from typer.exceptions import TyperException

    if isinstance(error, TyperException):
        cast(typer.BadParameter, error).show()  # the public one stands for all: wrong usage, with a hint
        return error.exit_code
    if isinstance(error, typer.Abort):
        print("syncd: stopped", file=sys.stderr)  # noqa: T201 - this is the place
        return 1
    if isinstance(error, typer.Exit):
        return error.exit_code
    from providers.errors import ProviderError
    from syncd.cli.show import sentence
    from syncd.errors import ApiError, SyncdError, exit_code

    if isinstance(error, (ProviderError, SyncdError, ApiError)):
        print(f"syncd: {sentence(error)}", file=sys.stderr)  # noqa: T201 - this is the place
        return _WRONG_USAGE if isinstance(error, ApiError) and error.code == "invalid-request" else exit_code(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        print(f"syncd: {where}{error.strerror or error}", file=sys.stderr)  # noqa: T201 - a full disk, a closed pipe
        return 1
    raise error
