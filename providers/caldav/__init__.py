"""CalDAV (RFC 4791), with sync-collection (RFC 6578) where the server has it, on the caldav package."""
