"""What the project promises in figures, measured on the real processes: ``python -m bench``, one file per budget.

A bench is a module of this folder with ``async def measure(quick: bool) -> list[Figure]``; adding one is adding a file.
``rig`` is what they measure with.
"""
