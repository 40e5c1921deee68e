"""What is bookable: intervals, set hours, rules. Pure: knows no calendar, no network, no clock."""

from availability.busy import Busy
from availability.rules import BookingRules, RulesError
from availability.schedule import Openings, Schedule, ScheduleError
from availability.slots import (
    Claim,
    Code,
    Reason,
    Situation,
    explain,
    first_slot,
    nearest,
    open_periods,
    open_slots,
    open_time,
    valid_until,
    whole_second,
)
from availability.zones import ZoneError

__all__ = [
    "BookingRules",
    "Busy",
    "Claim",
    "Code",
    "Openings",
    "Reason",
    "RulesError",
    "Schedule",
    "ScheduleError",
    "Situation",
    "ZoneError",
    "explain",
    "first_slot",
    "nearest",
    "open_periods",
    "open_slots",
    "open_time",
    "valid_until",
    "whole_second",
]
