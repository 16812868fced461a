"""Latencies in logarithmic buckets: constant memory, percentiles to a few per cent."""

from __future__ import annotations

import math

import attrs

# Per doubling. The width of a bucket, and so the error of a percentile, is 1/16 of its value.
_STEPS = 16
_SHORTEST = -20
"""The exponent of the first bucket: 2**-20 seconds, about a microsecond."""
_DOUBLINGS = 32
"""Up to 2**12 seconds, more than an hour; what takes longer counts as that."""


@attrs.frozen
class LatencyHistogram:
    """How long requests took, in seconds, at one moment.

    Parameters:
        count: requests that were answered.
        total: seconds that they took together.
        longest: the longest of them, 0 without any.
        buckets: pairs of an upper bound in seconds, and how many took less than that, and no less
            than the bound of the bucket below; only those with any.
    """

    count: int
    total: float
    longest: float
    buckets: tuple[tuple[float, int], ...]

    @property
    def mean(self) -> float:
        """The mean in seconds, 0 without requests."""
        return self.total / self.count if self.count else 0.0

    def percentile(self, percent: float) -> float:
        """Return the time in which `percent` of the requests were answered, to about 6 %.

        Parameters:
            percent: above 0, 100 at most.

        Returns seconds, 0 without requests.
        """
        if not 0 < percent <= 100:
            raise ValueError(f"a percentile is above 0 and 100 at most, not {percent}")
        wanted = math.ceil(self.count * percent / 100)
        for bound, count in self.buckets:
            wanted -= count
            if wanted <= 0:
                return min(bound, self.longest)
        return 0.0


class Latencies:
    """Counts latencies."""

    __slots__ = ("_counts", "_longest", "_total")

    def __init__(self) -> None:
        self._counts = [0] * (_DOUBLINGS * _STEPS)
        self._total = 0.0
        self._longest = 0.0

    def note(self, seconds: float) -> None:
        """Count one."""
        # Half-open from below: 0.5 <= mantissa < 1; but no time at all has neither.
        mantissa, exponent = math.frexp(seconds)
        index = (exponent - 1 - _SHORTEST) * _STEPS + int((mantissa * 2 - 1) * _STEPS)
        self._counts[min(max(index, 0), len(self._counts) - 1) if seconds > 0 else 0] += 1
        self._total += seconds
        if seconds > self._longest:
            self._longest = seconds

    def snapshot(self) -> LatencyHistogram:
        """Return the counts of this moment."""
        buckets = tuple((_upper(index), count) for index, count in enumerate(self._counts) if count)
        count = sum(count for _, count in buckets)
        return LatencyHistogram(count, self._total, self._longest, buckets)


def _upper(index: int) -> float:
    doublings, step = divmod(index, _STEPS)
    return math.ldexp(1 + (step + 1) / _STEPS, doublings + _SHORTEST)
