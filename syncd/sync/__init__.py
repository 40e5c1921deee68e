"""Pull: what remote calendars say becomes busy time in the store, changes and sync token together or not at all."""
