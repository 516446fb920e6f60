"""The door to the machine that is watched: its files below one root, and what the kernel says of them.

With ``root`` on a capture folder the same code reads another machine's recorded ``/proc`` and ``/sys``.
"""
