"""`syncd demo`: a real CalDAV server with a believable week, and the daemon on it, in a folder that vanishes."""
