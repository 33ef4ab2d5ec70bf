"""The method's two networks on the sparse U-Net, and the bank of prototypes between them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from offline_training.sparse import Maps
from offline_training.unet import UNet, UnitLength

EMBEDDING = 32  # d of the paper
HIDDEN = 64  # units between Θ's features and the embedding
TEMPERATURE = 0.07  # τ of the paper
UNSEEN = -1e4  # a score that leaves a class no probability, yet finite for α = 1
MOMENTUM = 0.9  # k ← 0.9 k + 0.1 mean f


class SemanticOutput(NamedTuple):
    """Per voxel: feature float [V, width], logits float [V, C], offset float [V, 3] in metres."""

    feature: Tensor
    logits: Tensor
    offset: Tensor


class SemanticNet(nn.Module):
    """Θ: class logits, and an offset from each voxel toward the centre of its object."""

    def __init__(self, in_channels: int, classes: int, width: int, levels: int) -> None:
        super().__init__()
        self.unet = UNet(in_channels, width, levels)
        self.classifier = nn.Linear(width, classes)
        self.offset = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3))

    def forward(self, features: Tensor, maps: Maps) -> SemanticOutput:
        feature = self.unet(features, maps)
        return SemanticOutput(feature, self.classifier(feature), self.offset(feature))


class RelationNet(nn.Module):
    """R: a unit embedding per super-voxel, and the bank that embeddings are compared with.

    The paper's R has a U-Net of its own. Ours reads Θ's features, which its loss shapes too, beside
    the mean of Θ's inputs (colour, texture, height, direction, place in the voxel: the seed paper's
    geometry and more), so that a training step and a live cloud pay for one U-Net, not two.
    """

    def __init__(self, in_channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(width + in_channels, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, EMBEDDING),
            UnitLength(),
        )
        self.bank = PrototypeBank(classes)

    def forward(self, described: Tensor) -> Tensor:
        """Unit embeddings float [M, d] of super-voxels.

        Args:
            described: float [M, width + in_channels], each super-voxel's mean feature of Θ and mean
                input of Θ.
        """
        embedding: Tensor = self.embed(described)
        return embedding


class PrototypeBank(nn.Module):
    """One unit prototype per class, part of the saved model (paper section 3.2).

    A class that no batch has shown yet takes no part in the contrast, and a batch without a class
    leaves its prototype alone.
    """

    prototype: Tensor  # float [C, d]
    seen: Tensor  # bool [C]
    bias: Tensor  # float [C]

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("prototype", torch.zeros(classes, EMBEDDING))
        self.register_buffer("seen", torch.zeros(classes, dtype=torch.bool))
        self.register_buffer("bias", torch.zeros(classes))

    def scores(self, embedding: Tensor) -> Tensor:
        """f_j · k_c / τ, float [M, C]; UNSEEN for classes that no batch has shown yet."""
        scores = embedding @ self.prototype.t() / TEMPERATURE
        return scores.masked_fill(~self.seen, UNSEEN)

    def expect(self, area: Tensor) -> None:
        """Take the classes for as frequent as the root of their area, as Θ's loss does.

        Similarity alone knows no frequencies: of a room's walls it makes a hundred small things.

        Args:
            area: float [C], voxels of each class.
        """
        share = area.clamp(min=1).sqrt()
        self.bias.copy_((share / share.sum()).log())

    @torch.no_grad()
    def update(self, embedding: Tensor, label: Tensor) -> None:
        """Move the prototypes of the classes present toward the mean of their embeddings.

        Args:
            embedding: float [M, d] of labelled super-voxels.
            label: int64 [M].
        """
        for name in torch.unique(label):
            mean = functional.normalize(embedding[label == name].mean(dim=0), dim=0)
            share = MOMENTUM if self.seen[name] else 0.0
            mixed = share * self.prototype[name] + (1 - share) * mean
            self.prototype[name] = functional.normalize(mixed, dim=0)
            self.seen[name] = True

    @torch.no_grad()
    def settle(self, total: Tensor, count: Tensor) -> None:
        """Re-estimate the prototypes exactly: a running mean over small batches remembers only the
        last scenes. Classes without an embedding keep theirs.

        Args:
            total: float [C, d], sum of the embeddings of each class's labelled super-voxels.
            count: int64 [C], how many those are.
        """
        known = count > 0
        self.prototype[known] = functional.normalize(total[known], dim=1)
        self.seen |= known


def pool_rows(values: Tensor, row_of: Tensor, rows: int) -> Tensor:
    """Mean of the values of each row: float [V, D], int64 [V] -> [rows, D]."""
    total = values.new_zeros(rows, values.shape[1]).index_add_(0, row_of, values)
    count = torch.bincount(row_of, minlength=rows).clamp(min=1)
    return total / count[:, None]
