"""Freelancers, schedules, consultations, accounts and keys that the configuration file doesn't declare.

Decides what may be set and what follows from a change. Refuses to know who asks: the API and the command line call it
inside a transaction of theirs. Raises ApiError with JSON pointers to what is to be mended.
"""
