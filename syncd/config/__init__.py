"""The configuration: what an operator may set, read once at start and again on SIGHUP.

`load_config` is the way in; the models say which keys there are. Lengths are whole seconds, paths absolute.
"""

from syncd.config.fields import RESERVED_HANDLES, RESERVED_SLUGS, length_text, parse_length
from syncd.config.later import later_keys
from syncd.config.load import load_config
from syncd.config.models import (
    Account,
    Config,
    Consultation,
    Daemon,
    Freelancer,
    Google,
    Mail,
    Microsoft,
    OnCalendarChange,
    Price,
    Question,
    RateLimits,
    Schedule,
    Server,
    WeeklyHours,
)

__all__ = [
    "RESERVED_HANDLES",
    "RESERVED_SLUGS",
    "Account",
    "Config",
    "Consultation",
    "Daemon",
    "Freelancer",
    "Google",
    "Mail",
    "Microsoft",
    "OnCalendarChange",
    "Price",
    "Question",
    "RateLimits",
    "Schedule",
    "Server",
    "WeeklyHours",
    "later_keys",
    "length_text",
    "load_config",
    "parse_length",
]
