"""The agent's path: it judges what its monitors see, tells people by itself or leaves that to the hub, and forgets
nothing of it.

::

    samples, outcomes of checks          rulebook ◄── catalogue, file, bundle
              └────────► judge ◄──────────────┘
                           │ fired, settled, resolved
                         desk ◄──── answers of the hub ──── events, questions ────► uplink
                           │ tellings
                        teller ────► channels        memory: all of it, on the disk before anybody is told
"""
