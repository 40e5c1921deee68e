"""What servers do otherwise than the RFCs say, each declared once: who does it, what it is, and what we do about it.

Decides nothing: the code that allows for a quirk names it at the one place where it matters, and is told by its
`Server` whether it may (all are, unless a test opens an account without one). Each has a twin in
`tests/providers/test_caldav_quirks.py`, which fails without it against a server that plays it.

Two kinds of allowance are made: `server.tolerate(QUIRK)` where the odd answer is seen, so that the probe can name it,
and `QUIRK in server.quirks` where we take care beforehand. What we avoid by never doing it (no DAV:limit, no expand, no
free-busy-query, no `If-Match: *`, no MKCALENDAR) is no quirk.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quirk:
    """One oddity: `what` such a server does, said of "the server", and `why` we allow for it as we do."""

    name: str
    servers: str
    what: str
    why: str


# Who we are, and where things are

NEVER_ASKS = Quirk(
    "never-asks",
    "Cyrus (207 with an unauthenticated principal), Yahoo (401 without WWW-Authenticate)",
    "it doesn't ask for the password in a way that names a scheme",
    "Who waits for that never sends it and finds no calendar: Basic is sent at once where the connection is private.",
)
NO_CURRENT_PRINCIPAL = Quirk(
    "no-current-user-principal",
    "servers from before RFC 5397",
    "it names the account by principal-URL only",
    "The principal is found by that.",
)
NO_HOME = Quirk(
    "no-calendar-home",
    "servers with one fixed folder of calendars, as some web hosts have it",
    "it names no calendar home",
    "The address we were given is taken for the home; without a calendar in it nothing is found, and said so.",
)
NO_SLASH = Quirk(
    "no-slash",
    "Fastmail, Robur, older Zimbra",
    "it writes addresses of collections without the slash at their end",
    "The same calendar must have one remote id; and a folder in a calendar must not be taken for an event.",
)
ENCODED_TWICE = Quirk(
    "encoded-twice",
    "servers behind a proxy that encodes again; user names with @ in paths",
    "it writes @ in addresses as %2540",
    "Asked for as they stand, such addresses name nothing.",
)
OTHER_PORT = Quirk(
    "other-port",
    "servers behind a proxy that don't know their outer address",
    "it writes addresses with the scheme and port it has inside",
    "An address on the same host is reached as the one that named it was.",
)

BARE_NAMES = Quirk(
    "bare-names",
    "Xandikos",
    "it writes the address of a resource with a colon in its name as that name alone",
    "Read as an address, `urn:uuid:1.ics` leads nowhere; it is taken for a name in the calendar.",
)
RAW_NAMES = Quirk(
    "raw-names",
    "SOGo",
    "it doesn't encode ? and # in the address of a resource",
    "An address in a listing has no query: they belong to the name.",
)
LOST_NAMES = Quirk(
    "lost-names",
    "SOGo (names with % or /)",
    "it lists resources at addresses where it has nothing",
    "What was just listed, isn't there and is listed again is named as unreadable, not as gone.",
)
FORBIDDEN_CHARACTERS = Quirk(
    "forbidden-characters",
    "SOGo (emoji as two halves); Cyrus, Xandikos, sabre/dav and SOGo (control characters)",
    "it copies characters of an event into XML that no XML may hold",
    "One event must not hide a calendar: halves are put together, and the rest replaced, before the answer is read.",
)

FALSE_CALENDARS = Quirk(
    "false-calendars",
    "Radicale 1 (whatever isn't there), Calypso (its root)",
    "it calls a calendar what is none",
    "What the well-known address leads to is no calendar, nor what has the principal in it: the principal is asked.",
)
BARE_HOME = Quirk(
    "bare-home",
    "go-webdav",
    "it knows the calendar home only without a slash",
    "Where a home says nothing at all, not even of itself, it is asked without.",
)

# What there is

NO_SYNC = Quirk(
    "no-sync-collection",
    "sabre/dav 1.8 (403), Yahoo, Robur, GMX, Posteo; others with 400, 404, 405, 415, 501 or 507",
    "it has no sync-collection",
    "Everything is listed by ETags, as seldom as its CTag allows, and compared with what is known.",
)
NO_CTAG = Quirk(
    "no-ctag",
    "Zimbra behind some proxies, small servers of one's own",
    "it has no CTag either",
    "ETags are listed and compared at every pull.",
)
TOKEN_REFUSED_PLAINLY = Quirk(
    "token-refused-plainly",
    "Xandikos (412, once 500 or a 207 without a token), Zimbra, others with 400, 403, 409, 410 or 507",
    "it refuses an old sync token without naming valid-sync-token",
    "A full pull follows; that tells whether it is the permission that is missing.",
)
ANY_TOKEN = Quirk(
    "any-token",
    "DAViCal, SOGo, Stalwart, OX",
    "it answers a sync token it doesn't know with everything there is",
    "What was removed is in no such answer: all is listed and compared where the probe saw that any token is taken, "
    "elsewhere if at least half of what is known comes back unchanged. What this misses is found at `reconcile_every`.",
)
CUT_SYNC = Quirk(
    "cut-sync",
    "Stalwart, servers with a limit of results",
    "it cuts the answer to a sync and gives no token to go on from",
    "A part must not pass for the whole: all is listed by ETags.",
)
CUT_FOR_GOOD = Quirk(
    "cut-for-good",
    "Stalwart",
    "it cuts the answer to a sync from nothing, and its token leads past the rest",
    "Where such an answer is cut, all is listed by ETags as well.",
)
EMPTY_SYNC = Quirk(
    "empty-sync",
    "Stalwart, RustiCal",
    "its sync shows a calendar that is gone, or one that isn't empty, as an empty one",
    "Before a calendar counts as emptied, it is listed by ETags as well. That nothing changed since a token is "
    "believed: what is known goes on blocking until all is compared at `reconcile_every`.",
)
FAILS_EMPTY = Quirk(
    "fails-empty",
    "Zimbra",
    "it lists nothing of a calendar when it fails to read it",
    "Before a calendar counts as emptied, some of what was there is asked for.",
)
REPEATED_ROWS = Quirk(
    "repeated-rows",
    "SOGo, DAViCal",
    "it lists a resource more than once in one answer, sometimes as gone and as there",
    "Rows are a set; one that has an ETag is there.",
)
REPEATED_CHANGES = Quirk(
    "repeated-changes",
    "SOGo (its tokens are seconds)",
    "it lists again what changed in the second of the sync token",
    "What has the ETag that is known isn't read again.",
)
REUSED_ETAGS = Quirk(
    "reused-etags",
    "SOGo (gcs00000000)",
    "it counts an event's ETags from zero again when the event is removed and made anew",
    "Such a one, listed as changed or when all is compared, is read whatever its ETag.",
)
ITSELF_LISTED = Quirk(
    "itself-listed",
    "DAViCal, Zimbra",
    "it lists the calendar itself, without a slash, among what changed in it",
    "A calendar is no event of its own.",
)
NO_ETAGS = Quirk(
    "no-etags",
    "small servers of one's own; a proxy that strips them",
    "it gives no ETag",
    "What has none is read at every pull, and its text compared instead.",
)
ODD_ETAGS = Quirk(
    "odd-etags",
    "GMX (weak), Bedework (percent-encoded), Robur and DavMail (without quotes)",
    "it writes one ETag in different ways, or as none may be written",
    "They are compared by what is between the quotes; a weak one is never sent as a condition, which it can't meet.",
)
MULTIGET_FAILS = Quirk(
    "multiget-fails",
    "sabre/dav 1.8 (404 as a whole for one that is missing), servers that can't (501)",
    "it refuses to show many resources at once, as soon as one is missing or ever",
    "They are asked for one by one.",
)
MULTIGET_SILENT = Quirk(
    "multiget-silent",
    "Zimbra, Xandikos",
    "it leaves out some of the resources it was asked for",
    "Silence isn't absence: those are asked for one by one.",
)
MULTIGET_SPOILT = Quirk(
    "multiget-spoilt",
    "Cyrus (Latin-1 among UTF-8)",
    "its answer is no XML because of what one event holds",
    "One event must not hide the others: they are asked for one by one.",
)
ONE_FAILS = Quirk(
    "one-fails",
    "servers that fail (500) at an event they can't read themselves",
    "it fails whenever it is asked for a certain event",
    "That one is named as unreadable and asked for again; the rest is pulled. If many fail and none is shown, the pull "
    "fails.",
)
MISSED_BY_TIME = Quirk(
    "missed-by-time",
    "Xandikos (moved overrides, RDATE), sabre/dav (RDATE, far weekly rules), Cyrus, OX (beyond a year), Bedework",
    "asked for a span of time, it leaves out events that lie there",
    "Unless a trial showed that the server finds by time, a small calendar is read whole for a look, and the look at a "
    "large one says that it may lack something.",
)

# What we write

IF_NONE_MATCH_IGNORED = Quirk(
    "if-none-match-ignored",
    "SOGo, Zimbra, Google",
    "it overwrites what is there although the write is for new events only",
    "The address is looked at before, and what stands there after.",
)
IF_MATCH_IGNORED = Quirk(
    "if-match-ignored",
    "SOGo (DELETE, and missing resources), iCloud and Yahoo in some forms",
    "it changes or removes an event although it isn't as the condition says",
    "The ETag is compared here as well, right before.",
)
IF_MATCH_WANTED = Quirk(
    "if-match-wanted",
    "OX",
    "it refuses to remove an event without a condition",
    "Then it is read, and removed as it was read.",
)
OTHER_412 = Quirk(
    "other-412",
    "Xandikos (bad data, UID conflict), DAViCal (bad data)",
    "it answers 412 for reasons that have nothing to do with ETags",
    "What it names decides; where it names nothing, what is there does.",
)
UID_CONFLICT = Quirk(
    "uid-conflict",
    "Radicale and Nextcloud (409 or 400), Xandikos (412), Cyrus and iCloud (403, also for another calendar)",
    "it refuses a UID that it has elsewhere, with a status of its own",
    "It means that the event was written already, whatever the status.",
)
GONE_REFUSED = Quirk(
    "gone-refused",
    "Cyrus (403), DAViCal (405)",
    "it refuses a write to a calendar that is gone as if it weren't allowed or possible",
    "RFC 4918 §9.7.1 wants 409; whether the calendar is there is asked.",
)
BINNED = Quirk(
    "binned",
    "Nextcloud",
    "it takes writes to a calendar that was thrown away, for as long as it keeps it",
    "Whether it is in the bin is asked before an event is made: nobody would see it there.",
)
NO_ETAG_ON_PUT = Quirk(
    "no-etag-on-put",
    "SOGo, Cyrus and others where they change what they store",
    "it doesn't say the ETag of what was written",
    "It is read, so that the next pull knows the event.",
)
OTHER_ETAG_ON_PUT = Quirk(
    "other-etag-on-put",
    "Radicale, Xandikos, Cyrus, SOGo; servers that add properties a moment later",
    "it says an ETag at a write that isn't the one of what it then has",
    "What was written is read back.",
)
SLOW_TO_SHOW = Quirk(
    "slow-to-show",
    "Google, iCloud, anything with replicas",
    "it shows what was written only a moment later",
    "It is read back more than once, with pauses, before a write counts as lost.",
)
SCHEDULES = Quirk(
    "schedules",
    "Cyrus, iCloud, Nextcloud, sabre/dav, SOGo, DAViCal (RFC 6638)",
    "it mails the guests of an event whenever the event is changed or removed",
    "We write no ORGANIZER and no ATTENDEE; for those whom a person added, `Schedule-Reply: F` asks for silence (it "
    "must keep back only our own replies, RFC 6638 §8.1; sabre/dav and Nextcloud keep back everything).",
)
END_WANTED = Quirk(
    "end-wanted",
    "Cyrus, iCloud",
    "it refuses events without DTEND",
    "DTEND is always written (providers.ical_write).",
)
ZONES_LOST = Quirk(
    "zones-lost",
    "Yahoo",
    "it loses events whose times name a zone",
    "Times are written in UTC (providers.ical_write).",
)

AVOIDED: frozenset[Quirk] = frozenset({END_WANTED, ZONES_LOST})
"""Those for which nothing has to be allowed, as what is written never meets them."""

ALL: frozenset[Quirk] = frozenset(value for value in list(globals().values()) if isinstance(value, Quirk)) - AVOIDED
