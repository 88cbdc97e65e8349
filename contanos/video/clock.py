"""Timestamps that only grow, from streams whose timestamps may be missing, repeat or go back."""

from fractions import Fraction

DEFAULT_RATE = Fraction(25)


class Clock:
    """Makes the pts of a stream strictly increasing.

    Attributes:
        made_up: how many frames had no timestamp and got one from the rate.
        fixed: how many had one that repeated or went back, and were moved.
    """

    def __init__(self, rate: Fraction | None, time_base: Fraction) -> None:
        self.step = max(1, round(1 / ((rate or DEFAULT_RATE) * time_base)))
        self._jump_back = max(self.step, round(Fraction(1, 2) / time_base))
        self._last: int | None = None
        self._offset = 0
        self.made_up = 0
        self.fixed = 0

    def tick(self, pts: int | None) -> int:
        """The pts to use for the next frame in presentation order."""
        if pts is None:
            self.made_up += 1
            self._last = 0 if self._last is None else self._last + self.step
        else:
            self._last = self._after_last(pts)
        return self._last

    def _after_last(self, pts: int) -> int:
        moved = pts + self._offset
        if self._last is None or moved > self._last:
            return moved
        self.fixed += 1
        if self._last - moved < self._jump_back:
            return self._last + 1
        self._offset = self._last + self.step - pts  # a new start of time: go on from here
        return self._last + self.step
