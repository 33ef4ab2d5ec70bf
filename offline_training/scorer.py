"""A small network that scores what a few numbers describe, and how it learns."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Track = Callable[[Iterable[int]], Iterable[int]]

LEARNING_RATE = 3e-3
LEAST_SPREAD = np.float32(1e-6)  # of what is the same in all that is learnt from


class Scorer(nn.Module):
    """A score from F features, whose mean and spread belong to it."""

    mean: Tensor
    spread: Tensor

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        self.layers = nn.Sequential(
            nn.Linear(features, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Of [..., F] features: [...]."""
        score: Tensor = self.layers((features - self.mean) / self.spread)[..., 0]
        return score

    def standardise(self, features: NDArray[np.float32]) -> None:
        """Take mean and spread of features [E, F] that it will learn from."""
        self.mean.copy_(torch.from_numpy(features.mean(axis=0)))
        self.spread.copy_(torch.from_numpy(features.std(axis=0) + LEAST_SPREAD))

    @torch.no_grad()
    def plain(self) -> nn.Sequential:
        """Layers that score features as they are: from [E, F] to [E, 1]."""
        first, *others = copy.deepcopy(self.layers)
        assert isinstance(first, nn.Linear)
        weight = first.weight.double() / self.spread.double()
        first.bias.sub_((weight @ self.mean.double()).float())
        first.weight.copy_(weight)
        return nn.Sequential(first, *others)


def descend(
    scorer: Scorer, loss: Callable[[], Tensor], steps: int, track: Track, weight_decay: float = 1e-2
) -> None:
    """Lower a loss by AdamW, at a rate that falls as a cosine does.

    Args:
        track: wraps the steps, as `rich.progress.track` does.
    """
    optimizer = torch.optim.AdamW(scorer.parameters(), lr=LEARNING_RATE, weight_decay=weight_decay)
    for step in track(range(steps)):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimizer.zero_grad()
        found = loss()
        found.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
