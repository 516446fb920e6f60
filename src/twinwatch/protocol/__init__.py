"""The words that agent and hub exchange: msgspec structs, their encoding and their limits.

Invariants: importing this room touches nothing outside the process; a struct only ever gains fields that have
defaults, so that either side may be the older one. The bytes of the first version are kept in
``tests/contract/vectors`` and must decode for ever.
"""
