"""For every test: the zones of the tzdata package, as in the daemon."""

from availability import zones

zones.pin()
