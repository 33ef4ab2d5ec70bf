"""Random numbers of one split: the splits draw every size and hue from disjoint shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

# Shares of the unit interval. They interleave, so that validation furniture has proportions that
# training never shows and yet does not leave the range of what it does show.
SHARES: dict[str, tuple[tuple[float, float], ...]] = {
    "train": ((0.0, 0.16), (0.28, 0.50), (0.62, 0.84)),
    "dev": ((0.17, 0.22), (0.51, 0.56), (0.85, 0.90)),
    "val": ((0.23, 0.27), (0.57, 0.61), (0.91, 1.0)),
}
SPLITS = tuple(SHARES)


class Draw:
    """A seeded source of shapes and colours for one split."""

    def __init__(self, split: str, rng: np.random.Generator) -> None:
        self.split = split
        self.rng = rng
        shares = np.array(SHARES[split])
        self._start, self._length = shares[:, 0], shares[:, 1] - shares[:, 0]
        self._weight = self._length / self._length.sum()

    def between(self, low: float, high: float) -> float:
        """A number in [low, high], in this split's share of that range."""
        row = self.rng.choice(len(self._weight), p=self._weight)
        unit = self._start[row] + self.rng.random() * self._length[row]
        return float(low + unit * (high - low))

    def anything(self, low: float, high: float) -> float:
        """A number in [low, high] that is free to repeat in other splits (a position, an angle)."""
        return float(self.rng.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < probability)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[int(self.rng.integers(len(options)))]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """The options in random order."""
        return [options[int(row)] for row in self.rng.permutation(len(options))]

    def normal(self, sigma: float, *shape: int) -> NDArray[np.float64]:
        """Gaussian numbers of a given spread."""
        return self.rng.normal(0.0, sigma, shape)
