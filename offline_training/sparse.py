"""Sparse convolutions written against kernel maps that are built once for a batch of clouds.

A convolution is a list of pairs: output row o gains `features[i] @ weight[k]` for every pair (i, o)
of offset k. Its gradients are the same sum with inputs and outputs exchanged, so one function runs
the submanifold (27 offsets), the strided (8) and the transposed convolution (8, reversed pairs).
Weights are [K, C_in, C_out].
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from offline_training.spconv_engine import pair_table, spconv_convolve, spconv_function
from otoc_ros.core import native
from otoc_ros.core.compiled import compiled
from otoc_ros.core.pairs import PairList, coarser_level_pairs, same_level_pairs
from otoc_ros.core.voxels import Level, kernel_maps


class Pairs:
    """A list of pairs on one device; see `PairList`."""

    def __init__(self, pairs: PairList, device: torch.device) -> None:
        self.list = pairs
        self.inputs = torch.from_numpy(pairs.inputs).to(device)
        self.outputs = torch.from_numpy(pairs.outputs).to(device)
        self.n_inputs, self.n_outputs = pairs.n_inputs, pairs.n_outputs

    @cached_property
    def reversed(self) -> Pairs:
        """The pairs of the transposed convolution."""
        return Pairs(self.list.reversed, self.inputs.device)

    @cached_property
    def slices(self) -> list[tuple[int, slice]]:
        """The offsets that have pairs, and where those lie."""
        spans = pairwise(self.list.offset_start.tolist())
        return [(k, slice(begin, end)) for k, (begin, end) in enumerate(spans) if begin < end]

    @cached_property
    def by_output(self) -> tuple[Tensor, Tensor]:
        """The pairs sorted by output row, int32 [P], and where each row begins, [n_outputs + 1]."""
        order, starts = _group_by_row(self.list.outputs, self.n_outputs)
        device = self.outputs.device
        return torch.from_numpy(order).to(device), torch.from_numpy(starts).to(device)

    @cached_property
    def table(self) -> tuple[Tensor, Tensor]:
        """The pairs as spconv holds them; see `pair_table`."""
        offsets = len(self.list.offset_start) - 1
        return pair_table(self.inputs, self.outputs, self.slices, offsets)


@dataclass(frozen=True, eq=False)
class LevelMaps:
    """Pairs of one level: to itself, to the next coarser level and back (None on the last)."""

    same: Pairs
    down: Pairs | None
    up: Pairs | None


@dataclass(frozen=True, eq=False)
class Maps:
    """The kernel maps of a batch of clouds, on one device."""

    levels: tuple[LevelMaps, ...]

    @classmethod
    def build(cls, coords: NDArray[Any], levels: int, device: torch.device | str = "cpu") -> Maps:
        """Maps for sorted int [V, 3] or [V, 4] coordinates; see `kernel_maps` for the limits."""
        tables = kernel_maps(coords, levels)
        coarser = [len(table) for table in tables[1:]] + [0]
        return cls(
            tuple(
                _level_maps(t, n, torch.device(device))
                for t, n in zip(tables, coarser, strict=True)
            )
        )


class SparseConv(nn.Module):
    """A convolution without bias over one kind of pairs; features float [rows, C_in]."""

    def __init__(self, offsets: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        spread = (2 / (offsets * in_channels)) ** 0.5
        self.weight = nn.Parameter(torch.randn(offsets, in_channels, out_channels) * spread)

    def extra_repr(self) -> str:
        return "{} offsets, {} -> {}".format(*self.weight.shape)


class SubmanifoldConv(SparseConv):
    """3×3×3 onto the same voxels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(27, in_channels, out_channels)

    def forward(self, features: Tensor, level: LevelMaps) -> Tensor:
        return convolve(features, self.weight, level.same)


class DownConv(SparseConv):
    """2×2×2 with stride 2, from `level` to the next coarser one."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(8, in_channels, out_channels)

    def forward(self, features: Tensor, level: LevelMaps) -> Tensor:
        assert level.down is not None, "the last level has nothing below it"
        return convolve(features, self.weight, level.down)


class UpConv(SparseConv):
    """The transposed DownConv, from the next coarser level back to `level`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(8, in_channels, out_channels)

    def forward(self, features: Tensor, level: LevelMaps) -> Tensor:
        assert level.up is not None, "the last level has nothing below it"
        return convolve(features, self.weight, level.up)


def convolve(features: Tensor, weight: Tensor, pairs: Pairs) -> Tensor:
    """Sum of `features[i] @ weight[k]` over the pairs of each output row.

    Float32 on a CPU is computed by the C++ kernel where it was built, on CUDA by spconv where it is
    installed, everything else by PyTorch. Autocast halves both, as it does for linear layers.

    Args:
        features: float [pairs.n_inputs, C_in].
        weight: float [K, C_in, C_out].

    Returns:
        float [pairs.n_outputs, C_out].
    """
    device = features.device.type
    if torch.is_autocast_enabled(device):
        half = torch.get_autocast_dtype(device)
        features, weight = features.to(half), weight.to(half)
    if features.is_cuda and _engine != "torch" and spconv_function() is not None:
        return spconv_convolve(features, weight, *pairs.table, pairs.n_outputs)
    on_cpu = device == "cpu" and features.dtype == weight.dtype == torch.float32
    native_here = on_cpu and _engine != "torch" and native.library() is not None
    function = _NativeConvolution if native_here else _TorchConvolution
    return function.apply(features, weight, pairs)  # type: ignore[no-any-return, no-untyped-call]


@contextmanager
def only_torch() -> Iterator[None]:
    """Compute with PyTorch inside the block, whatever else is there (to compare)."""
    global _engine
    before, _engine = _engine, "torch"
    try:
        yield
    finally:
        _engine = before


_engine = "best"


class _TorchConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, pairs: Pairs) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.pairs = pairs
        products = features.new_empty(len(pairs.inputs), weight.shape[2])
        for k, here in pairs.slices:
            torch.mm(features.index_select(0, pairs.inputs[here]), weight[k], out=products[here])
        return _sum_by_row(products, pairs.by_output)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        features, weight = ctx.saved_tensors
        pairs = ctx.pairs
        turned = weight.transpose(1, 2)
        to_weight = torch.zeros_like(weight)
        wanted = ctx.needs_input_grad[0]  # not for the first layer
        products = features.new_empty(len(pairs.inputs) if wanted else 0, weight.shape[1])
        for k, here in pairs.slices:
            there = gradient.index_select(0, pairs.outputs[here])
            x = features.index_select(0, pairs.inputs[here])
            torch.mm(x.t(), there, out=to_weight[k])
            if wanted:
                torch.mm(there, turned[k], out=products[here])
        return _sum_by_row(products, pairs.reversed.by_output) if wanted else None, to_weight, None


def _sum_by_row(products: Tensor, rows: tuple[Tensor, Tensor]) -> Tensor:
    order, starts = rows
    return nn.functional.embedding_bag(
        order, products, starts, mode="sum", include_last_offset=True
    )


class _NativeConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, pairs: Pairs) -> Tensor:
        features, weight = features.detach().contiguous(), weight.detach().contiguous()
        ctx.save_for_backward(features, weight)
        ctx.pairs = pairs
        return _native_sum(features, weight, pairs)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        features, weight = ctx.saved_tensors
        pairs = ctx.pairs
        gradient = gradient.contiguous()
        to_features = None
        if ctx.needs_input_grad[0]:
            to_features = _native_sum(gradient, weight, pairs.reversed, transposed=True)
        to_weight = native.weight_gradient(
            features.numpy(), gradient.numpy(), pairs.list, torch.get_num_threads()
        )
        return to_features, torch.from_numpy(to_weight), None


def _native_sum(
    features: Tensor, weight: Tensor, pairs: Pairs, *, transposed: bool = False
) -> Tensor:
    threads = torch.get_num_threads()
    x, w = features.numpy(), weight.numpy()
    result = native.convolve(x, w, pairs.list, transposed=transposed, threads=threads)
    return torch.from_numpy(result)


def _level_maps(level: Level, n_coarser: int, device: torch.device) -> LevelMaps:
    same = Pairs(same_level_pairs(level), device)
    if level.parent is None:
        return LevelMaps(same, None, None)
    down = Pairs(coarser_level_pairs(level, n_coarser), device)
    return LevelMaps(same, down, down.reversed)


@compiled
def _group_by_row(rows, count):  # type: ignore[no-untyped-def]
    starts = np.zeros(count + 1, np.int32)
    for row in rows:
        starts[row + 1] += 1
    starts = np.cumsum(starts).astype(np.int32)
    place = starts[:-1].copy()
    order = np.empty(len(rows), np.int32)
    for pair in range(len(rows)):
        order[place[rows[pair]]] = pair
        place[rows[pair]] += 1
    return order, starts
