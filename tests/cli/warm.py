"""`syncd`, loaded once: each line of standard input is a command, run by a fork of its own as a new process would.

Loading takes most of the time of most commands, and the tests run hundreds of them.
"""

from __future__ import annotations

import atexit
import json
import os
import pkgutil
import sys
import threading
import time
import traceback
from importlib import import_module

import syncd.api
import syncd.cli


def _load() -> None:
    for package in (syncd.cli, syncd.api):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)


def _become(job: dict) -> None:
    """What a new process has: its environment, folder, arguments and streams."""
    os.environ.clear()
    os.environ.update(job["environment"])
    time.tzset()
    os.chdir(job["folder"])
    sys.argv = ["syncd", *job["arguments"]]
    ways = {0: os.O_RDONLY, 1: os.O_WRONLY | os.O_CREAT, 2: os.O_WRONLY | os.O_CREAT}
    for number, way in ways.items():
        opened = os.open(job["streams"][number], way)
        os.dup2(opened, number)
        os.close(opened)
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding=encoding, closefd=False)  # noqa: SIM115 - the process's own
        for number, mode in ((0, "r"), (1, "w"), (2, "w"))
    )


def _run() -> int:
    """Run the command and what is registered for the end, but take nothing apart: that takes half a second."""
    code = 1
    try:
        code = syncd.cli.run()
    except BaseException:  # noqa: BLE001 - as the interpreter shows it
        traceback.print_exc()
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def main() -> None:
    """Answer each command with its exit code."""
    _load()
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            _become(json.loads(line))
            os._exit(_run())
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
