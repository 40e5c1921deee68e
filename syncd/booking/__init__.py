"""The life of a booking: its states, its policy, what is decided about it."""
