"""From observations to alerts, and from alerts to who is told what: pure, and the same on agent and hub.

Invariants: no I/O, no clock, no chance of its own: times and seeds are arguments. The same history gives the same
state on either side.
"""
