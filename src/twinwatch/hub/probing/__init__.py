"""What the hub sees from outside: probes made in time, judged by rules, confirmed by witnesses, kept as history.

Invariants: of all hub processes one makes a probe at a time; a probe's state, its alert and its history change in one
transaction; what a user names is connected to through the guard only; a hub that is itself cut off judges nobody.
"""
