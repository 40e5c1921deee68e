"""How instants are kept: one type, so that a naive datetime can't enter the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """A UTC instant: timestamptz on PostgreSQL, integer microseconds since the epoch on SQLite."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type for the database at hand."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse naive datetimes; hand over UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = f"naive datetime {value!r} must not reach the store: give it a zone"
            raise ValueError(msg)
        at = value.astimezone(UTC)
        return at if dialect.name == "postgresql" else (at - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return a UTC datetime."""
        if value is None:
            return None
        if dialect.name == "postgresql":
            return value.astimezone(UTC) if isinstance(value, datetime) else None
        return _EPOCH + timedelta(microseconds=int(value))
