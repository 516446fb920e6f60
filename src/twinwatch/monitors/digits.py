"""How many digits of a derived figure are kept.

Every digit is stored for months. Those below the noise of the measurement cost as much as the others and tell nothing,
so derived figures lose them here. What the kernel counts (bytes, inodes) is left as it is: integers.
"""

from __future__ import annotations


def ratio(value: float) -> float:
    """A share of 0 to 1 in steps of 0.01 %; the clocks of numerator and denominator may differ a little, hence cut."""
    return round(min(max(value, 0.0), 1.0), 4)


def rate(value: float) -> float:
    """Four significant digits, and none beyond the fourth decimal: 1234567 becomes 1235000, 0.06667 0.0667."""
    if value >= 1000:
        whole = int(value)
        return round(whole, 4 - len(str(whole)))
    if value >= 100:
        return round(value, 1)
    if value >= 10:
        return round(value, 2)
    return round(value, 3 if value >= 1 else 4)
