"""What was true when a critical alert fired, so that it outlives the host: who used the processor and the memory, what
waited, what was full, what the failing unit wrote, and how the value came to be what it is.

Invariants: collecting takes a moment and no longer, whatever hangs; what was not ready then follows, or is left out;
no arguments of programs are in it, and nothing that looks like a password; it is within ``EVIDENCE_BYTES``.
Cost: two passes over /proc, a few reads, one journalctl; one pass serves all alerts of a few seconds.
"""
