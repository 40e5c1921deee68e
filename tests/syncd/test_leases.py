"""One job per account at a time: who has it, who may take it over, and what becomes of a commit that lost it."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import update

from syncd.jobs.due import Order
from syncd.jobs.embedded import Runner
from syncd.locks import ProcessLocks
from syncd.store import leases
from syncd.store.models import Account

_WORKER = """
import sys
from pathlib import Path
from syncd.locks import ProcessLocks
locks = ProcessLocks(Path(sys.argv[1]))
print(locks.new_owner(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_process(house):
    """Another process that works on the same database, and the name under which it takes leases."""
    command = [sys.executable, "-c", _WORKER, str(house.folder / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


def give_lease(house, owner: str) -> None:
    with house.services.store.write() as session:
        assert leases.claim(session, house.account_id, owner, house.now, house.locks.is_alive)


def steal_lease(house) -> None:
    with house.services.store.write() as session:
        session.execute(update(Account).values(lease_owner="someone else"))


def test_two_workers_never_work_on_one_account_at_once(house, at):
    inside, go_on = threading.Event(), threading.Event()

    def wait():
        inside.set()
        assert go_on.wait(60)

    house.put("lunch", at(12))
    house.after_each_page(wait)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(house.pull)
        assert inside.wait(60)
        assert house.pull().skipped == [house.account_id]
        go_on.set()
        assert len(first.result().pulls) == 1
    assert {row[0] for row in house.rows()} == {"lunch"}
    assert house.account().lease_owner is None


def test_many_threads_that_want_the_same_account_take_turns(house, at):
    running, most = 0, 0
    lock = threading.Lock()

    def count():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.005)
        with lock:
            running -= 1

    house.after_each_page(count)
    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda _: house.pull(), range(24)))
    assert most == 1
    assert sum(len(report.pulls) + len(report.skipped) for report in reports) == 24
    assert any(report.pulls for report in reports)


def test_the_runner_starts_no_second_job_on_an_account_at_work(house):
    inside, go_on = threading.Event(), threading.Event()

    def wait():
        inside.set()
        assert go_on.wait(60)

    house.after_each_page(wait)
    house.later(minutes=3)
    house.remote.calls.clear()
    runner = Runner(house.shop)
    try:
        for _ in range(5):
            runner.submit_due()
        assert inside.wait(60)
        runner.submit_due()
    finally:
        go_on.set()
        assert runner.stop(patience=60)
    assert house.remote.calls["changes"] == 1


def test_the_lease_of_a_living_process_is_not_taken(house, other_process):
    give_lease(house, other_process[1])
    assert house.pull().skipped == [house.account_id]
    house.now += leases.LEASE - timedelta(seconds=1)
    assert house.pull().skipped == [house.account_id]


def test_the_lease_of_a_living_process_that_it_let_run_out_is_taken(house, other_process):
    give_lease(house, other_process[1])
    house.now += leases.LEASE
    assert len(house.pull().pulls) == 1


def test_the_lease_of_a_dead_process_is_taken_at_once(house, other_process):
    process, owner = other_process
    give_lease(house, owner)
    process.kill()
    process.wait()
    assert len(house.pull().pulls) == 1


@pytest.mark.parametrize("full", [False, True], ids=["incremental", "full"])
def test_a_pull_that_lost_its_lease_commits_nothing(house, at, full, logged):
    house.put("kept", at(10))
    house.pull()
    before = (house.rows(), house.calendar().sync_token, house.calendar().generation, house.version())
    house.put("lunch", at(12))
    house.after_each_page(lambda: steal_lease(house))
    house.sync(Order(everything=True, full=full))
    listed = 1  # the list of calendars was taken over before the lease was lost
    after = (house.rows(), house.calendar().sync_token, house.calendar().generation, house.version() - listed)
    assert after == before
    assert house.account().lease_owner == "someone else"
    assert [line["event"] for line in logged() if line["level"] == "warning"] == ["lease lost"]


def test_a_lost_lease_is_no_fault_of_the_account(house):
    house.after_each_page(lambda: steal_lease(house))
    house.pull()
    assert (house.account().state, house.account().attempts) == ("ok", 0)


def test_every_lease_of_a_process_has_a_name_of_its_own(tmp_path):
    locks = ProcessLocks(tmp_path / "lock")
    owners = {locks.new_owner() for _ in range(100)}
    assert len(owners) == 100
    assert all(locks.is_alive(owner) for owner in owners)
    locks.close()
