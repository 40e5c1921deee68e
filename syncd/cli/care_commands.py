"""The commands that set up, check and look after an installation. What they do lives elsewhere."""

from __future__ import annotations
