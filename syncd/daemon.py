"""The daemon: a timetable that finds what is due, workers that do it, and the HTTP server, in one process.

The timetable is the `schedule` library on the process's clock, which is set to UTC, so that no change of offset can
stall it. It only starts work; local times are never its business.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from types import FrameType

import schedule
import structlog
import uvicorn

from providers.errors import GrantRevoked
from syncd.booking.expiry import sweep
from syncd.config import Config, later_keys, load_config
from syncd.errors import ConfigError, Mistake, SyncdError
from syncd.jobs.account import WorkReport, Workshop
from syncd.jobs.due import Order
from syncd.jobs.embedded import Runner, work_through
from syncd.locks import ProcessLocks
from syncd.management.freelancers import disconnect_removed
from syncd.notify import Notifier
from syncd.services import Services, apply_declared, say_farewells
from syncd.store import channels, keys, leases, sign_ins
from syncd.store.access import reach_of
from syncd.store.engine import Changes
from syncd.sync.pull import PullSettings
from syncd.sync.staleness import Freshness
from syncd.sync.watches import hooks_of, mark_of

log = structlog.get_logger("syncd")

_ASLEEP = timedelta(minutes=2)  # without a tick: what was told meanwhile was not heard
_STOP_PATIENCE = 5.0  # seconds
_PACE = 0.2  # seconds between two looks at what other processes wrote, and at what signals asked for


def open_workshop(services: Services, locks: ProcessLocks, stopping: Callable[[], bool] = lambda: False) -> Workshop:
    """What the workers of this process share."""
    daemon = services.config.daemon
    settings = PullSettings(
        timedelta(seconds=daemon.keep_busy_for),
        timedelta(seconds=daemon.reconcile_every),
        reach_of(services.config),
        hooks_of(daemon.public_url) if locks.daemon_runs() else "",  # else nobody listens there
    )
    return Workshop(services.store, services.vault, locks, settings, services.open_provider, services.clock, stopping)


class Daemon:
    """One running daemon on opened services; `run` returns when it was told to stop.

    `has_ended` then says whether all its work has come to an end, or some still waits for a calendar server.
    """

    def __init__(self, services: Services, locks: ProcessLocks, listener: socket.socket, config_path: Path) -> None:
        self._services = services
        self._listener = listener
        self._config_path = config_path
        self._wake = Event()
        self._is_stopping = self._is_to_reload = False
        self._locks = locks
        self._runner = Runner(open_workshop(services, locks, lambda: self._is_stopping))
        self._timetable = schedule.Scheduler()
        self._notifier = Notifier.of(os.environ, os.getpid())
        self.has_ended = False
        services.port = listener.getsockname()[1]
        services.nudge = self._wake.set

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Serve and work until `stop`. Raises StoreError if the database can't be used at start."""
        os.environ["TZ"] = "UTC"
        time.tzset()
        self._timetable.every(1).seconds.do(self._safely, self._tick)
        self._timetable.every(10).to(20).minutes.do(self._safely, self._tidy)
        if keys_set := later_keys(self._services.config):
            log.info("set, but their features come in a later version", keys=keys_set)
        server = _http_server(self._services)
        thread = Thread(target=server.run, kwargs={"sockets": [self._listener]}, name="http", daemon=True)
        thread.start()
        self._safely(self._tick)
        _wait_until_serving(server, thread)
        on_ready()
        self._notifier.ready("serving")
        try:
            with closing(self._services.store.watch()) as changes:
                self._loop(changes, thread)
        finally:
            self._notifier.stopping()
            server.should_exit = True
            self.has_ended = self._runner.stop(_STOP_PATIENCE)
            thread.join(timeout=_STOP_PATIENCE)

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to come to an end."""
        return self._is_stopping

    # An Event set in a signal handler would wait for ever if the signal came while the loop held the Event's lock.

    def stop(self) -> None:
        """Ask the daemon to come to an end; safe in a signal handler."""
        self._is_stopping = True

    def reload(self) -> None:
        """Ask the daemon to read its configuration file again; safe in a signal handler."""
        self._is_to_reload = True

    def _loop(self, changes: Changes, http: Thread) -> None:
        while not self._is_stopping:
            self._timetable.run_pending()
            if http.is_alive():
                self._notifier.alive()
            woken = self._wake.wait(min(_PACE, max(0.0, self._timetable.idle_seconds or 0.0)))
            self._wake.clear()
            if self._is_to_reload:
                self._is_to_reload = False
                self._notifier.reloading()
                self._safely(self._read_config)
                self._notifier.ready("serving")
            if woken or changes.happened():
                self._safely(self._tick)

    def _tick(self) -> None:
        now, before = self._services.clock(), self._services.beat_at
        if before is not None and now - before > _ASLEEP:
            _mistrust_silence(self._services)  # the machine slept
        self._services.beat_at = now
        if not self._is_stopping:
            self._runner.submit_due()
            self._runner.submit("farewells", lambda: say_farewells(self._services))
            sweep(self._services)

    def _tidy(self) -> None:
        with self._services.store.write() as session:
            keys.drop_expired_answers(session, self._services.clock())
            sign_ins.drop_expired(session, self._services.clock())
            disconnect_removed(session, self._services.clock())

    def _read_config(self) -> None:
        """Take over what the file declares now; a bad file changes nothing and says so."""
        try:
            config = load_config(self._config_path, os.environ)
        except ConfigError as error:
            log.error("the configuration file was not taken over", reason=str(error))
            return
        before, self._services.config = self._services.config, config
        try:
            apply_declared(self._services)
        except BaseException:
            self._services.config = before
            raise
        self._services.situations.freshness = Freshness.of(config.daemon)
        self._runner.use(open_workshop(self._services, self._locks, lambda: self._is_stopping))
        if fixed := _fixed_at_start(before, config):
            log.warning("changed in the file, and in force after a restart only", keys=fixed)
        log.info("configuration read again")

    def _safely(self, job: Callable[[], None]) -> None:
        """A job that raises would never be scheduled again, and those after it would starve."""
        try:
            job()
        except Exception as error:
            log.error("a scheduled job failed", job=getattr(job, "__name__", "?"), exc_info=error)


def _fixed_at_start(before: Config, after: Config) -> list[str]:
    """The keys that differ and that a running daemon can't take over."""
    keys_of = {"daemon": ("database", "secret_key_file"), "server": ("host", "port")}
    tables = [(table, getattr(before, table), getattr(after, table)) for table in keys_of]
    return [f"{table}.{k}" for table, old, new in tables for k in keys_of[table] if getattr(old, k) != getattr(new, k)]


def run_daemon(services: Services, locks: ProcessLocks, config_path: Path) -> None:
    """`syncd run`: until SIGTERM or SIGINT. Raises StoreError if another daemon has the database."""
    locks.become_daemon()
    apply_declared(services)
    _mistrust_silence(services)
    server = services.config.server
    with closing(listen(server.host, server.port)) as listener:
        daemon = Daemon(services, locks, listener, config_path)
        handle_signals(daemon)
        address = f"http://{server.host}:{listener.getsockname()[1]}"
        daemon.run(on_ready=lambda: log.info("ready", url=address))
    log.info("stopped")
    if not daemon.has_ended:
        # A thread that waits for a server's answer can't be told to give up. Nothing is lost with it: what it was
        # about to do is recorded, and its lease ends with the process.
        os._exit(0)


def _mistrust_silence(services: Services) -> None:
    """Nothing that was told was heard while no daemon ran."""
    with services.store.write() as session:
        channels.nobody_listened(session, services.clock())


def handle_signals(daemon: Daemon) -> None:
    """Stop on SIGTERM and SIGINT, read the configuration again on SIGHUP."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        daemon.stop()

    def reload(_signal: int, _frame: FrameType | None) -> None:
        daemon.reload()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, reload)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        expected = f"must be an address and a free port of this machine: {error.strerror}"
        raise ConfigError(mistakes=[Mistake("server.port", expected, f"{host}:{port}")]) from None
    listener.listen(128)
    return listener


def _http_server(services: Services) -> uvicorn.Server:
    from syncd.api.app import create_app

    config = uvicorn.Config(
        create_app(services),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        proxy_headers=False,
    )
    return uvicorn.Server(config)


def _wait_until_serving(server: uvicorn.Server, thread: Thread) -> None:
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    if not server.started:
        message = "the HTTP server did not start; its log says why"
        raise SyncdError(message)


def run_once(services: Services, locks: ProcessLocks) -> WorkReport:
    """`syncd run --once`: all that is due now, once; what failed the last time is tried, whatever its back-off."""
    sweep(services)
    now = services.clock()
    shop = open_workshop(services, locks)
    if not locks.daemon_runs():
        _mistrust_silence(services)
    with services.store.read() as session:
        due = leases.due_accounts(session, now, insist=True, mark=mark_of(shop.settings.hooks))
        last = leases.last_pull_at(session)
    if last is not None and now - last > timedelta(seconds=services.config.daemon.stale_after):
        log.warning("passes are further apart than stale_after: in between no slots are offered", last_pull=str(last))
    report = work_through(shop, due, Order(insist=True))
    say_farewells(services)
    failed = {name for name, _ in report.failures}
    with services.store.read() as session:
        waiting = leases.waiting_for_a_person(session)
    report.failures += [(name, GrantRevoked(problem)) for name, problem in waiting if name not in failed]
    return report
