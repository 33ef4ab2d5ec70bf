"""Our U-Net with its convolutions computed by spconv: same modules, same weights, re-laid.

spconv 2.3.8 on a CPU is correct with one thread only (its scatter-add races), and its backward asks
for a CUDA stream, which is patched here.
"""

import copy
from itertools import pairwise

import spconv.pytorch as spconv
import torch
from spconv.pytorch import functional, ops

from offline_training.sparse import DownConv, SparseConv, SubmanifoldConv, UpConv
from offline_training.unet import UNet

functional.get_current_stream = ops.get_current_stream = lambda: 0


class Level:
    """One resolution: spconv's tensor, whose index pairs its layers make and share by key."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tensor = None
        self.coarser = None


class SpconvUNet:
    """From features [V, C] and int32 coordinates [V, 4]; builds its index pairs at each call."""

    def __init__(self, unet: UNet) -> None:
        self.unet = copy.deepcopy(unet)
        self.levels = unet.n_levels
        for module in list(self.unet.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, SparseConv):
                    setattr(module, name, _Adapter(child))

    def __call__(self, features: torch.Tensor, coords: torch.Tensor) -> torch.Tensor:
        levels = [Level(number) for number in range(self.levels)]
        for fine, coarse in pairwise(levels):
            fine.coarser = coarse
        shape = _extent(coords, self.levels)
        batch = int(coords[:, 0].max()) + 1
        levels[0].tensor = spconv.SparseConvTensor(features, coords, shape, batch)
        return self.unet(features, _Maps(levels))


class _Maps:
    def __init__(self, levels: list[Level]) -> None:
        self.levels = levels


class _Adapter(torch.nn.Module):
    def __init__(self, ours: SparseConv) -> None:
        super().__init__()
        offsets, c_in, c_out = ours.weight.shape
        side = 3 if offsets == 27 else 2
        self.kind = type(ours)
        # The names of the keys need a level, which the first call tells.
        self.sizes = (c_in, c_out)
        kernel = ours.weight.detach().permute(2, 0, 1).reshape(c_out, side, side, side, c_in)
        self.kernel = torch.nn.Parameter(kernel.contiguous())
        self.conv = None

    def forward(self, features: torch.Tensor, level: Level) -> torch.Tensor:
        if self.conv is None:
            self.conv = self._make(level.number)
        if self.kind is UpConv:
            return self.conv(level.coarser.tensor.replace_feature(features)).features
        result = self.conv(level.tensor.replace_feature(features))
        if self.kind is DownConv:
            level.coarser.tensor = result
        return result.features

    def _make(self, level: int) -> torch.nn.Module:
        options = {"bias": False, "algo": spconv.ConvAlgo.Native}
        if self.kind is SubmanifoldConv:
            conv = spconv.SubMConv3d(*self.sizes, 3, indice_key=f"same{level}", **options)
        elif self.kind is DownConv:
            conv = spconv.SparseConv3d(*self.sizes, 2, 2, indice_key=f"down{level}", **options)
        else:
            conv = spconv.SparseInverseConv3d(*self.sizes, 2, indice_key=f"down{level}", **options)
        if conv.weight.shape != self.kernel.shape:  # [*kernel, C_in, C_out] without implicit gemm
            self.kernel = torch.nn.Parameter(
                self.kernel.detach().permute(1, 2, 3, 4, 0).contiguous()
            )
        assert conv.weight.shape == self.kernel.shape, conv.weight.shape
        conv.weight = self.kernel
        return conv


def index_pairs(coords: torch.Tensor, levels: int) -> None:
    """Make the index pairs of every level, as the layers above do on their first use."""
    shape, batch = _extent(coords, levels), int(coords[:, 0].max()) + 1
    for level in range(levels):
        _pairs(coords, batch, shape, 3, 1, 1, True)
        if level < levels - 1:
            coords = _pairs(coords, batch, shape, 2, 2, 0, False)[0]
            shape = [size // 2 for size in shape]


def _pairs(coords, batch, shape, size, stride, padding, submanifold):
    each = [[value] * 3 for value in (size, stride, padding, 1, 0)]
    return ops.get_indice_pairs(coords, batch, shape, spconv.ConvAlgo.Native, *each, submanifold)


def _extent(coords: torch.Tensor, levels: int) -> list[int]:
    step = 2**levels
    return [int(size) // step * step + step for size in coords[:, 1:].max(0).values]
