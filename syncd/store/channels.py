"""Channels by which providers tell of changes, as they are kept; and which accounts have some to look after."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, and_, delete, exists, false, func, or_, select, true, update
from sqlalchemy.orm import Session, joinedload

from syncd.store.models import Account, Calendar, Channel, Freelancer

_PULLED = or_(Calendar.blocks, Calendar.target, Calendar.named)
_WATCHABLE = and_(_PULLED, Calendar.gone.is_(False), or_(Calendar.role.is_(None), Calendar.role != "free_busy"))


def is_watchable(calendar: Calendar) -> bool:
    """Whether changes of a calendar are worth being told of, and can be: not where only its busy times are shown."""
    return calendar.is_pulled and not calendar.gone and calendar.role != "free_busy"


def due(now: datetime, mark: str | None) -> Select[str]:
    """Ids of accounts with channels to look after; `mark` ends the id of every channel that still reaches us, "" where
    none does, None where nobody knows."""
    rows = select(Calendar.account_id).outerjoin(Channel, Channel.calendar_id == Calendar.id)
    in_use = and_(Channel.id.is_not(None), Channel.retired.is_(False))
    astray = false() if mark is None else Channel.id.not_like(f"%{mark}") if mark else true()
    useless = and_(in_use, or_(~_WATCHABLE, astray))
    return rows.where(or_(Calendar.next_watch_at <= now, useless))


def find(session: Session, channel_id: str) -> Channel | None:
    """A channel with its calendar and account."""
    its_own = joinedload(Channel.calendar).joinedload(Calendar.account)
    return session.scalars(select(Channel).where(Channel.id == channel_id).options(its_own)).one_or_none()


def of_calendar(session: Session, calendar_id: str) -> Sequence[Channel]:
    """A calendar's channels, the oldest first."""
    found = select(Channel).where(Channel.calendar_id == calendar_id)
    return session.scalars(found.order_by(Channel.created_at, Channel.id)).all()


def live_until(session: Session, calendar_id: str, seen_at: datetime) -> datetime | None:
    """Until when a channel tells of all that changed since `seen_at`: one that had reached us by then."""
    found = select(func.max(Channel.expires_at)).where(
        Channel.calendar_id == calendar_id, Channel.retired.is_(False), Channel.confirmed_at <= seen_at
    )
    return session.scalar(found)


def have_others(session: Session, channel: Channel) -> bool:
    """Whether a channel's calendar has another one as well."""
    others = select(Channel.id).where(Channel.calendar_id == channel.calendar_id, Channel.id != channel.id)
    return session.scalar(select(others.exists())) or False


def distrust(session: Session, account_id: str) -> None:
    """Rely on no channel of an account any more: they may have ended with its permission."""
    mine = Channel.calendar_id.in_(select(Calendar.id).where(Calendar.account_id == account_id))
    session.execute(update(Channel).where(mine).values(retired=True))
    ended = update(Calendar).where(Calendar.account_id == account_id)
    session.execute(ended.values(live_until_at=None, next_watch_at=None))


def nobody_listened(session: Session, now: datetime) -> None:
    """Have every calendar with a channel pulled now: while no daemon ran, nothing that was told was heard."""
    told = update(Calendar).where(Calendar.live_until_at.is_not(None))
    session.execute(told.where(Calendar.next_pull_at > now).values(next_pull_at=now))
    session.execute(told.values(live_until_at=None))


def drop(session: Session, channel_id: str) -> None:
    """Forget a channel."""
    session.execute(delete(Channel).where(Channel.id == channel_id))


def unheard(session: Session, since: datetime) -> list[str]:
    """Accounts, by handle and name, with a calendar whose channels were opened before `since` and never reached us."""
    heard = exists().where(Channel.calendar_id == Calendar.id, Channel.confirmed_at.is_not(None))
    opened = exists().where(
        Channel.calendar_id == Calendar.id, Channel.resource_id.is_not(None), Channel.created_at < since
    )
    found = select(Freelancer.handle, Account.name).select_from(Account).join(Freelancer).join(Calendar)
    rows = session.execute(found.where(Account.active, opened, ~heard).distinct())
    return sorted(f"{handle}/{name}" for handle, name in rows)
