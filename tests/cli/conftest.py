"""The command line as a person or a script has it: processes, a configuration file, a real calendar server."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from syncd.booking import lifecycle
from syncd.booking.making import Wish
from syncd.config import load_config
from syncd.services import open_services
from syncd.store import offers

_CONFIG = """
[daemon]
allow_private_networks = {private}
[server]
port = 0
[freelancers.ada]
name = "Ada Lovelace"
email = "ada@example.org"
time_zone = "Europe/London"
[freelancers.ada.schedules.default.hours]
monday = ["09:00-17:00"]
tuesday = ["09:00-17:00"]
sunday = ["00:00-04:00"]
[freelancers.ada.consultations.intro]
durations = ["30m", "60m"]
minimum_notice = "0m"
horizon = "390d"
{more}
"""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Warm:
    """A process that has loaded `syncd`, and runs commands in forks of itself."""

    def __init__(self, folder: Path) -> None:
        self._streams = [str(folder / name) for name in ("stdin", "stdout", "stderr")]
        self._turn = threading.Lock()
        command = [sys.executable, str(Path(__file__).with_name("warm.py"))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, folder: Path, environment: Mapping[str, str], arguments: Sequence[str], stdin: str) -> Done:
        job = {"folder": str(folder), "environment": dict(environment), "arguments": arguments}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._turn:
            for path, text in zip(self._streams, (stdin, "", ""), strict=True):
                Path(path).write_text(text, encoding="utf-8")
            self._process.stdin.write(json.dumps(job | {"streams": self._streams}) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            _, out, err = (Path(path).read_text(encoding="utf-8") for path in self._streams)
        return Done(code, out, err)

    def close(self) -> None:
        self._process.communicate()


class Shell:
    """A folder with a configuration file, and commands run in it."""

    def __init__(self, folder: Path, warm: Warm) -> None:
        self.folder, self._warm = folder, warm
        self.environment = os.environ | {"TZ": "Asia/Tokyo", "NO_COLOR": "1", "COLUMNS": "120"}

    def configure(self, more: str = "", *, private: bool = True) -> None:
        text = _CONFIG.format(more=more, private=str(private).lower())
        (self.folder / "config.toml").write_text(text, encoding="utf-8")

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "syncd", *arguments]
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, text=True, **streams)

    def __call__(self, *arguments: str, stdin: str = "") -> Done:
        done = self._warm.run(self.folder, self.environment, arguments, stdin)
        assert "Traceback" not in done.err, done.err
        return done

    def fails(self, code: int, words: str, *arguments: str, stdin: str = "") -> None:
        """A command that fails says why in one sentence on stderr, and nothing on stdout."""
        done = self(*arguments, stdin=stdin)
        assert (done.code, done.out) == (code, ""), done
        assert done.err.startswith("syncd: ")
        assert len(done.err.splitlines()) == 1, done.err
        assert words in done.err

    def connect(self, url: str, username: str, *more: str) -> tuple[str, ...]:
        """The arguments that connect an account."""
        return ("connect", "caldav", "ada", "--url", url, "--username", username, *more)


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    made = Warm(tmp_path_factory.mktemp("warm"))
    yield made
    made.close()


@pytest.fixture
def shell(tmp_path: Path, warm: Warm) -> Shell:
    """A folder with a configuration of one freelancer, who has no account yet."""
    made = Shell(tmp_path, warm)
    made.configure()
    return made


class Inside:
    """The same installation, opened in this process beside the commands."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.services = open_services(load_config(folder / "config.toml", environment))
        self.store = self.services.store

    def book(self, start: datetime, offer: str = "ada/intro", minutes: int = 30, **client: str) -> str:
        """Book as the freelancer; returns the booking's id."""
        named = {"name": "Grace Hopper", "email": "grace@navy.example"} | client
        with self.store.write() as session:
            found = offers.find_offer(session, *offer.split("/"))
            assert found is not None
            wish = Wish(start, minutes, named)
            now = self.services.clock()
            return lifecycle.book(session, self.services.situations, found, wish, "freelancer", now).id


@pytest.fixture
def inside(shell: Shell) -> Iterator[Callable[[], Inside]]:
    """Open the shell's installation in this process; it is closed at the end."""
    with contextlib.ExitStack() as closing:

        def open_it() -> Inside:
            made = Inside(shell.folder, shell.environment)
            closing.callback(made.store.close)
            return made

        yield open_it


@pytest.fixture
def coming() -> Callable[..., datetime]:
    """An instant of a Monday two to eight days ahead, by its hour in UTC: `coming(9.5)`; `days` later."""

    def coming(hour: float, days: int = 0) -> datetime:
        day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=2)
        return day + timedelta(days=-day.weekday() % 7 + days, hours=hour)

    return coming


_ON_A_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """A command on a terminal of its own, and a person who reads and types there."""

    def __init__(self, shell: Shell, arguments: tuple[str, ...]) -> None:
        self._screen, theirs = pty.openpty()
        command = [sys.executable, "-c", _ON_A_TERMINAL, sys.executable, "-m", "syncd", *arguments]
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        self._process = subprocess.Popen(
            command, cwd=shell.folder, env=shell.environment, start_new_session=True, **streams
        )
        os.close(theirs)
        self._shown = ""
        self._read = 0  # how much of it was waited for

    @property
    def shown(self) -> str:
        """All that was shown so far, without colours and movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._shown).replace("\r", "")

    def answer(self, question: str, text: str) -> None:
        """Wait for a question, and type the answer."""
        self._wait_for(question)
        os.write(self._screen, text.encode() + b"\n")

    def interrupt(self, question: str) -> None:
        """Wait for a question, and press Ctrl-C as a person does: a moment later, and again if nothing happens.

        A signal that comes between the question and the reading of its answer is seen by Python after the reading.
        """
        self._wait_for(question)
        time.sleep(0.2)
        while self._process.poll() is None:
            os.write(self._screen, b"\x03")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)

    def _wait_for(self, words: str) -> None:
        while words not in self.shown[self._read :]:
            assert self._more(), f"it ended before it said {words!r}: {self.shown}"
        self._read = self.shown.index(words, self._read) + len(words)

    def _more(self) -> bool:
        with contextlib.suppress(OSError):  # Linux says EIO at the end
            data = os.read(self._screen, 65536)
            self._shown += data.decode(errors="replace")
            return bool(data)
        return False

    def end(self) -> int:
        """Read what is left, and return the exit code."""
        while self._more():
            pass
        assert "Traceback" not in self.shown, self.shown
        return self._process.wait()

    def kill(self) -> None:
        """End it, whatever it waits for."""
        self._process.kill()
        self._process.wait()
        os.close(self._screen)


class Feed:
    """A web server that gives one text to whoever asks."""

    def __init__(self) -> None:
        self.text = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        feed = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = feed.text.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        return Handler

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def on_terminal(shell: Shell) -> Iterator[Callable[..., Terminal]]:
    """Starts commands on terminals, and ends those that still run."""
    started: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        started.append(Terminal(shell, arguments))
        return started[-1]

    yield start
    for terminal in started:
        terminal.kill()


@pytest.fixture
def feed() -> Iterator[Feed]:
    """A calendar feed on loopback."""
    made = Feed()
    yield made
    made.stop()


@pytest.fixture
def event() -> Callable[[str, str, str], str]:
    """An event's text: UID, start and end in UTC as iCalendar writes them."""

    def write(uid: str, start: str, end: str) -> str:
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", "BEGIN:VEVENT", f"UID:{uid}"]
        lines += ["DTSTAMP:20260101T000000Z", f"DTSTART:{start}", f"DTEND:{end}", "SUMMARY:Dentist"]
        return "\r\n".join([*lines, "END:VEVENT", "END:VCALENDAR", ""])

    return write
