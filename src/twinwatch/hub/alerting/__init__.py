"""The hub's alerts: opened by agents' events, the watchdog and the pinger; told through the outbox.

Invariants: an alert and the messages that follow from it are written in one transaction; there is one row per episode,
by its key; a message to a channel is there once, by its ``dedup``; what an agent told is recorded as told and not told
again.
"""
