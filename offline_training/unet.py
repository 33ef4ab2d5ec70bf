"""The sparse U-Net that every network of the project stands on."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from offline_training import parallel
from offline_training.sparse import (
    DownConv,
    LevelMaps,
    Maps,
    SparseConv,
    SubmanifoldConv,
    UpConv,
)


class UNet(nn.Module):
    """Sparse U-Net: level l has (l + 1) · width channels, two residual blocks down and two up.

    Every batch norm directly follows a convolution or a linear layer, so that an export can fold
    all of them.

    Args:
        in_channels: features of a voxel.
        width: channels of the finest level and of the output.
        levels: resolutions, 1 or more.
    """

    def __init__(self, in_channels: int, width: int, levels: int) -> None:
        super().__init__()
        self.in_channels, self.width, self.n_levels = in_channels, width, levels
        sizes = [(level + 1) * width for level in range(levels)]
        steps = list(pairwise(sizes))
        self.stem = NormedConv(SubmanifoldConv(in_channels, width))
        self.encoder = nn.ModuleList(TwoBlocks(m, m) for m in sizes)
        self.down = nn.ModuleList(NormedConv(DownConv(fine, coarse)) for fine, coarse in steps)
        self.up = nn.ModuleList(NormedConv(UpConv(coarse, fine)) for fine, coarse in steps)
        self.decoder = nn.ModuleList(TwoBlocks(2 * fine, fine) for fine, _ in steps)

    def forward(self, features: Tensor, maps: Maps) -> Tensor:
        """Features [V, in_channels] of the voxels that `maps` was built for -> [V, width], ≥ 0."""
        x: Tensor = self.stem(features, maps.levels[0])
        skips = []
        for level, blocks in enumerate(self.encoder):
            x = blocks(x, maps.levels[level])
            if level < self.n_levels - 1:
                skips.append(x)
                x = self.down[level](x, maps.levels[level])
        for level in reversed(range(self.n_levels - 1)):
            x = torch.cat([skips[level], self.up[level](x, maps.levels[level])], dim=1)
            x = self.decoder[level](x, maps.levels[level])
        return x


class NormedConv(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, conv: SparseConv) -> None:
        super().__init__()
        self.conv = conv
        self.norm = Norm(conv.weight.shape[2])

    def forward(self, x: Tensor, level: LevelMaps) -> Tensor:
        return torch.relu_(self.norm(self.conv(x, level)))


class ResidualBlock(nn.Module):
    """ReLU(skip(x) + norm(conv(ReLU(norm(conv(x)))))); the skip is linear where channels change."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = NormedConv(SubmanifoldConv(in_channels, out_channels))
        self.second = SubmanifoldConv(out_channels, out_channels)
        self.norm = Norm(out_channels)
        self.skip: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.skip = nn.Sequential(
                nn.Linear(in_channels, out_channels, bias=False), Norm(out_channels)
            )

    def forward(self, x: Tensor, level: LevelMaps) -> Tensor:
        change = self.norm(self.second(self.first(x, level), level))
        return torch.relu_(change + self.skip(x))


class TwoBlocks(nn.Module):
    """Two residual blocks; the first one changes the channels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = ResidualBlock(in_channels, out_channels)
        self.second = ResidualBlock(out_channels, out_channels)

    def forward(self, x: Tensor, level: LevelMaps) -> Tensor:
        return self.second(self.first(x, level), level)  # type: ignore[no-any-return]


class Norm(nn.BatchNorm1d):
    """Batch norm over the rows of all processes, which keeps to its running statistics when one row
    leaves nothing to estimate.

    A small crop has a single voxel on the coarsest level.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training and parallel.count() > 1:
            return self._over_processes(x)
        if self.training and len(x) < 2:
            return self._as_running(x)
        return super().forward(x)

    def _as_running(self, x: Tensor) -> Tensor:
        return nn.functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
        )

    def _over_processes(self, x: Tensor) -> Tensor:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        x = x.to(self.weight.dtype)  # in mixed precision sums of many rows are too large for half
        mean, columns = x.mean(dim=0).double(), x.shape[1]
        inner = ((x - x.mean(dim=0)) ** 2).sum(dim=0).double()
        rows = mean.new_tensor([len(x)])
        parts = parallel.summed(torch.cat([len(x) * mean, len(x) * mean**2 + inner, rows]))
        count = parts[-1].detach()
        if count < 2:
            return self._as_running(x)
        wide = parts[:columns] / count
        mean = wide.to(x.dtype)
        var = (parts[columns:-1] / count - wide**2).clamp(min=0).to(x.dtype)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1)).to(x.dtype), self.momentum)
        return (x - mean) * (self.weight * torch.rsqrt(var + self.eps)) + self.bias


class UnitLength(nn.Module):
    """Rows divided by their Euclidean length; the last step of an embedding head."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(x, dim=1)
