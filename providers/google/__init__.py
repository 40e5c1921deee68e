"""Google Calendar: `providers.port` on the Calendar API v3."""
