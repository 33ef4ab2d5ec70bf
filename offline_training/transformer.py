"""Propagation by a transformer: super-voxels attend to the prototypes of the bank.

f̂_j = Σ_c softmax(Q(F_j) K(k_c) / √d) V(k_c); [F_j, f̂_j] → class (paper section 3.4). Attention is
M × C, so it grows with the super-voxels alone, and it is trained end to end with Θ.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from offline_training.networks import EMBEDDING, UNSEEN

LAYERS = 4
FEED_FORWARD = 32
DROPOUT = 0.1


class TransformerPropagation(nn.Module):
    """Four pre-norm layers of cross-attention with one head, as in the paper."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.enter = nn.Linear(width, EMBEDDING)
        self.layers = nn.ModuleList(CrossAttention() for _ in range(LAYERS))
        self.classifier = nn.Linear(width + EMBEDDING, classes)

    def forward(self, feature: Tensor, prototypes: Tensor, seen: Tensor) -> Tensor:
        """Class logits of super-voxels: float [M, C].

        Args:
            feature: float [M, width], each super-voxel's mean feature of Θ.
            prototypes: float [C, d], of the relation net's bank.
            seen: bool [C], classes that have a prototype; the others get no attention.
        """
        mask = torch.where(seen, 0.0, UNSEEN)
        x: Tensor = self.enter(feature)
        for layer in self.layers:
            x = layer(x, prototypes, mask)
        logits: Tensor = self.classifier(torch.cat([feature, x], dim=1))
        return logits


class CrossAttention(nn.Module):
    """x + attention(norm(x), norm(k)), then x + feed-forward(norm(x))."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.norm_key, self.norm_feed = (nn.LayerNorm(EMBEDDING) for _ in range(3))
        self.query, self.key, self.value, self.leave = (
            nn.Linear(EMBEDDING, EMBEDDING) for _ in range(4)
        )
        self.widen = nn.Linear(EMBEDDING, FEED_FORWARD)
        self.narrow = nn.Linear(FEED_FORWARD, EMBEDDING)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor, prototypes: Tensor, mask: Tensor) -> Tensor:
        """float [M, d] and [C, d], mask float [C] to be added to the scores -> [M, d]."""
        keys = self.norm_key(prototypes)
        scores = self.query(self.norm(x)) @ self.key(keys).t() / math.sqrt(EMBEDDING)
        attention = torch.softmax(scores + mask, dim=1)
        x = x + self.dropout(self.leave(attention @ self.value(keys)))
        fed: Tensor = self.narrow(torch.relu(self.widen(self.norm_feed(x))))
        return x + self.dropout(fed)  # type: ignore[no-any-return]
