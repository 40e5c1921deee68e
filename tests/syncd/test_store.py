"""The store: schema and models agree, two live bookings never overlap, instants are exact, writers take turns."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, inspect, select, text, update
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.exc import IntegrityError, StatementError

from syncd.booking.states import TRANSITIONS
from syncd.errors import ConfigError, StoreError
from syncd.services import open_services
from syncd.store import bookings
from syncd.store.engine import alembic_config, has_data, make_engine, open_store, upgrade
from syncd.store.models import LIVE_STATES, TRIGGERS, Base, Booking, Freelancer
from syncd.store.types import Instant

ENDED = sorted({"expired", "declined", *TRANSITIONS.values()} - set(LIVE_STATES))


# Schema


def test_the_migrations_make_what_the_models_say(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/syncd.db")
    upgrade(engine)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
        tables = set(inspect(connection).get_table_names())
    engine.dispose()
    assert differences == []
    assert tables == {*Base.metadata.tables, "alembic_version"}


def test_upgrading_what_is_new_enough_changes_nothing(tmp_path):
    url = f"sqlite:///{tmp_path}/syncd.db"
    assert not has_data(url)
    open_store(url).close()
    assert has_data(url)
    before = (tmp_path / "syncd.db").read_bytes()
    open_store(url).close()
    assert (tmp_path / "syncd.db").read_bytes() == before


def test_a_database_and_its_log_are_made_for_their_owner_alone(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/syncd.db")
    with store.read():
        made = sorted(tmp_path.iterdir())
        assert [path.name for path in made] == ["syncd.db", "syncd.db-shm", "syncd.db-wal"]
        assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    store.close()


def test_the_mode_of_a_database_that_is_there_is_its_owners_choice(tmp_path):
    (tmp_path / "syncd.db").touch(0o640)
    (tmp_path / "syncd.db").chmod(0o640)
    open_store(f"sqlite:///{tmp_path}/syncd.db").close()
    assert stat.S_IMODE((tmp_path / "syncd.db").stat().st_mode) == 0o640


@pytest.fixture
def postgresql() -> str:
    """The migrations as SQL for PostgreSQL."""
    config = alembic_config("postgresql+psycopg://syncd@db/syncd")
    config.output_buffer = io.StringIO()
    command.upgrade(config, "head", sql=True)
    return config.output_buffer.getvalue()


def test_the_migrations_render_in_full_for_postgresql(postgresql):
    for table in Base.metadata.sorted_tables:
        body = re.search(rf"CREATE TABLE {table.name} \((.*?)\n\);", postgresql, re.DOTALL)
        assert body, table.name
        for column in table.columns:
            made = re.search(rf'^\s+"?{column.name}"? ', body.group(1), re.MULTILINE)
            added = f"ALTER TABLE {table.name} ADD COLUMN {column.name} " in postgresql
            assert made or added, f"{table.name}.{column.name}"
        for index in table.indexes:
            assert f"INDEX {index.name} " in postgresql
    assert "COMMIT" in postgresql


def test_postgresql_keeps_instants_with_zone_and_excludes_overlaps(postgresql):
    booking = re.search(r"CREATE TABLE bookings \((.*?)\n\);", postgresql, re.DOTALL).group(1)
    assert "starts_at TIMESTAMP WITH TIME ZONE NOT NULL" in booking
    assert "TIMESTAMP WITHOUT" not in postgresql
    assert "CREATE EXTENSION IF NOT EXISTS btree_gist" in postgresql
    [constraint] = re.findall(r"CONSTRAINT booking_no_overlap EXCLUDE USING gist[^;]*", postgresql)
    assert "freelancer_id WITH =" in constraint
    assert "tstzrange(starts_at, ends_at" in constraint
    assert {state for state in LIVE_STATES if f"'{state}'" in constraint} == set(LIVE_STATES)
    assert not [state for state in ENDED if f"'{state}'" in constraint]
    assert "TRIGGER" not in postgresql


# The guard against double booking


@pytest.fixture
def booked(house, at):
    """A house, a booking from twelve to half past on Tuesday, and one from three to half past."""
    return house, house.book(at(12, 1)), house.book(at(15, 1))


def clone(session, booking_id: str, start: datetime, end: datetime, state: str) -> None:
    """Insert another booking past all rules but the database's."""
    values = dict(session.execute(select(Booking.__table__).where(Booking.id == booking_id)).mappings().one())
    values |= {"id": f"bkg_{start:%H%M}{end:%H%M}{state}", "starts_at": start, "ends_at": end, "state": state}
    session.execute(Booking.__table__.insert(), values)


SPANS = [(12, 12.5), (11.75, 12.25), (12.25, 12.75), (11, 14), (12.1, 12.2)]


def test_an_insert_that_overlaps_is_refused(booked, at):
    house, first, _ = booked
    for span, state in itertools.product(SPANS, LIVE_STATES):
        with pytest.raises(IntegrityError) as refused, house.services.store.write() as session:
            clone(session, first, at(span[0], 1), at(span[1], 1), state)
        assert bookings.is_overlap(refused.value)
        assert house.count(Booking) == 2


@pytest.mark.parametrize("span", SPANS, ids=str)
def test_an_update_of_the_span_that_overlaps_is_refused(booked, at, span):
    house, _, second = booked
    moved = {"starts_at": at(span[0], 1), "ends_at": at(span[1], 1)}
    with pytest.raises(IntegrityError) as refused, house.services.store.write() as session:
        session.execute(update(Booking).where(Booking.id == second).values(moved))
    assert bookings.is_overlap(refused.value)


def test_an_update_of_the_state_that_overlaps_is_refused(booked, at):
    house, first, _ = booked
    with house.services.store.write() as session:
        for dead in ENDED:
            clone(session, first, at(12, 1), at(12.5, 1), dead)
    for dead, state in itertools.product(ENDED, LIVE_STATES):
        with pytest.raises(IntegrityError) as refused, house.services.store.write() as session:
            session.execute(update(Booking).where(Booking.state == dead).values(state=state))
        assert bookings.is_overlap(refused.value)


@pytest.mark.parametrize("span", [(11.5, 12), (12.5, 13)], ids=str)
def test_what_only_touches_is_taken_and_what_is_over_for_good_takes_no_time(booked, at, span):
    house, first, _ = booked
    with house.services.store.write() as session:
        for state in (*ENDED, "confirmed"):
            clone(session, first, at(span[0], 1), at(span[1], 1), state)
    assert house.count(Booking) == 3 + len(ENDED)


def test_another_freelancers_booking_at_that_time_is_taken(booked, at):
    house, _, second = booked
    with house.services.store.write() as session:
        values = dict(session.execute(select(Freelancer.__table__)).mappings().one())
        session.execute(Freelancer.__table__.insert(), {**values, "id": "frl_other", "handle": "other"})
        moved = {"freelancer_id": "frl_other", "starts_at": at(12, 1), "ends_at": at(12.5, 1)}
        session.execute(update(Booking).where(Booking.id == second).values(moved))
    with pytest.raises(IntegrityError), house.services.store.write() as session:
        session.execute(update(Booking).where(Booking.id == second).values(freelancer_id=values["id"]))


def test_a_booking_may_be_moved_over_its_own_place(booked, at):
    house, first, _ = booked
    with house.services.store.write() as session:
        moved = {"starts_at": at(12.25, 1), "ends_at": at(12.75, 1)}
        session.execute(update(Booking).where(Booking.id == first).values(moved))
    assert house.booking(first).starts_at == at(12.25, 1)


@pytest.mark.parametrize("end", [12.0, 11.0])
def test_a_booking_without_length_is_refused(booked, at, end):
    house, first, _ = booked
    with pytest.raises(IntegrityError) as refused, house.services.store.write() as session:
        session.execute(update(Booking).where(Booking.id == first).values(starts_at=at(12, 1), ends_at=at(end, 1)))
    assert "positive_length" in str(refused.value.orig)


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_database_without_its_guard_is_refused_at_start(tmp_path, trigger):
    url = f"sqlite:///{tmp_path}/syncd.db"
    open_store(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"DROP TRIGGER {trigger}"))
    engine.dispose()
    with pytest.raises(StoreError, match=trigger):
        open_store(url)


def test_a_database_of_a_newer_version_is_refused_in_words(tmp_path):
    url = f"sqlite:///{tmp_path}/syncd.db"
    store = open_store(url)
    with store.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(ConfigError, match=r"daemon\.database: .* newer version of syncd \(its schema is 9999"):
        open_store(url)


def test_a_database_is_opened_while_another_process_writes(tmp_path):
    url = f"sqlite:///{tmp_path}/syncd.db"
    open_store(url).close()
    other = make_engine(url)
    with other.begin() as writing:
        writing.execute(text("UPDATE alembic_version SET version_num = version_num"))
        open_store(url).close()
    other.dispose()


# Instants

MILLENNIUM = datetime(2000, 1, 1, tzinfo=UTC)
INSTANTS = st.builds(
    lambda days, microseconds, zone: MILLENNIUM.astimezone(zone) + timedelta(days=days, microseconds=microseconds),
    st.integers(-700_000, 2_900_000),
    st.integers(0, 86_400_000_000),
    st.sampled_from([UTC, timezone(timedelta(hours=-9.5))]),
)


@given(at=INSTANTS)
def test_instants_keep_their_microseconds_and_come_back_in_utc(at):
    kept, sqlite = Instant(), SQLiteDialect()
    bound = kept.process_bind_param(at, sqlite)
    assert isinstance(bound, int)
    back = kept.process_result_value(bound, sqlite)
    assert back == at
    assert back.utcoffset() == timedelta(0)


def test_instants_survive_the_database(house, at):
    booking = house.book(at(12, 1))
    odd = datetime(2026, 12, 1, 13, 59, 59, 999_999, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    with house.services.store.write() as session:
        session.get_one(Booking, booking).hold_expires_at = odd
    assert house.booking(booking).hold_expires_at == odd
    assert house.booking(booking).hold_expires_at.tzinfo is UTC


def test_a_naive_datetime_never_reaches_the_store(house):
    naive = house.now.replace(tzinfo=None)
    with pytest.raises(StatementError, match="naive"), house.services.store.read() as session:
        session.scalars(select(Booking).where(Booking.starts_at > naive)).all()


# Writers and readers


def test_threads_that_read_and_then_write_take_turns_and_none_is_lost(house):
    """BEGIN IMMEDIATE: a writer that reads first never finds its snapshot outdated."""
    store = house.services.store
    before = house.version()
    barrier = threading.Barrier(32)

    def raise_version(_number: int) -> None:
        barrier.wait()
        for _ in range(5):
            with store.write() as session:
                row = session.scalars(select(Freelancer)).one()
                row.availability_version += 1

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(raise_version, range(32)))
    assert house.version() == before + 32 * 5


def test_two_stores_on_one_file_take_turns_as_well(house):
    """Other processes have no lock of ours to queue at: the database's own must do."""
    url = house.services.config.database_url
    stores = [open_store(url) for _ in range(4)]
    before = house.version()

    def raise_version(store) -> None:
        for _ in range(10):
            with store.write() as session:
                row = session.scalars(select(Freelancer)).one()
                row.availability_version += 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(raise_version, stores))
    for store in stores:
        store.close()
    assert house.version() == before + 40


def test_a_reader_neither_waits_for_a_writer_nor_sees_what_it_has_not_committed(house):
    store = house.services.store
    with store.write() as session:
        session.execute(update(Freelancer).values(name="Countess"))
        with store.read() as reader:
            assert reader.scalars(select(Freelancer.name)).one() != "Countess"
    with store.read() as reader:
        assert reader.scalars(select(Freelancer.name)).one() == "Countess"


def test_a_reader_sees_one_state_however_often_it_looks(house):
    store = house.services.store
    with store.read() as reader:
        first = reader.scalars(select(Freelancer.availability_version)).one()
        with store.write() as session:
            session.execute(update(Freelancer).values(availability_version=first + 1))
        assert reader.scalars(select(Freelancer.availability_version)).one() == first


def test_a_write_that_fails_leaves_nothing(house):
    with contextlib.suppress(ZeroDivisionError), house.services.store.write() as session:
        session.execute(update(Freelancer).values(name="Countess"))
        raise ZeroDivisionError
    with house.services.store.read() as reader:
        assert reader.scalars(select(Freelancer.name)).one() != "Countess"


def test_a_database_fault_says_what_failed_and_nothing_of_what_was_bound(house):
    with pytest.raises(StoreError) as fault, house.services.store.write() as session:
        session.execute(text("INSERT INTO nowhere VALUES (:name)"), {"name": "grace@example.org"})
    assert "nowhere" in str(fault.value)
    assert "grace" not in str(fault.value)


def test_what_is_no_database_is_a_config_error_that_names_the_file(tmp_path):
    (tmp_path / "syncd.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(ConfigError, match=r"daemon.database: .*/syncd.db is no SQLite database"):
        open_store(f"sqlite:///{tmp_path}/syncd.db")


def test_a_missing_key_with_a_database_that_exists_is_a_config_error_and_never_a_new_key(house):
    house.services.store.close()
    key = house.services.config.daemon.secret_key_file
    key.unlink()
    with pytest.raises(ConfigError, match="secret_key_file"):
        open_services(house.services.config, clock=house.clock)
    assert not key.exists()
