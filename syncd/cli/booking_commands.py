"""The commands of the booking life and their arguments. What they do lives elsewhere."""

from __future__ import annotations
