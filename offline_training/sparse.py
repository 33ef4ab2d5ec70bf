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
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from otoc_ros.core import native
from otoc_ros.core.compiled import compiled
from otoc_ros.core.voxels import Level, kernel_maps


@dataclass(frozen=True, eq=False)
class Pairs:
    """Which input row feeds which output row, through which offset.

    Attributes:
        inputs, outputs: int32 [P], sorted by offset, and within an offset by either row: moving all
            voxels by one offset keeps their order.
        sizes: pairs of each of the K offsets.
        n_inputs, n_outputs: rows on either side.
    """

    inputs: Tensor
    outputs: Tensor
    sizes: tuple[int, ...]
    n_inputs: int
    n_outputs: int

    @cached_property
    def reversed(self) -> Pairs:
        """The pairs of the transposed convolution."""
        return Pairs(self.outputs, self.inputs, self.sizes, self.n_outputs, self.n_inputs)

    @cached_property
    def slices(self) -> list[tuple[int, slice]]:
        """The offsets that have pairs, and where those lie."""
        ends = np.cumsum(self.sizes).tolist()
        return [
            (k, slice(end - size, end))
            for k, (size, end) in enumerate(zip(self.sizes, ends, strict=True))
            if size
        ]

    @cached_property
    def by_output(self) -> tuple[Tensor, Tensor]:
        """The pairs sorted by output row, int32 [P], and where each row begins, [n_outputs + 1]."""
        order, starts = _group_by_row(self.outputs.cpu().numpy(), self.n_outputs)
        device = self.outputs.device
        return torch.from_numpy(order).to(device), torch.from_numpy(starts).to(device)

    @cached_property
    def offset_start(self) -> NDArray[np.int32]:
        """First pair of each offset, and the number of pairs, [K + 1]."""
        return np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int32)

    @cached_property
    def block_start(self) -> NDArray[np.int32]:
        """First pair of each offset at or after each block of output rows, [blocks + 1, K]."""
        starts: NDArray[np.int32] = _starts_of_blocks(
            self.outputs.numpy(), self.offset_start, self.n_outputs, native.BLOCK_ROWS
        )
        return starts


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

    Float32 on a CPU is computed by the C++ kernel where it was built, everything else by PyTorch.

    Args:
        features: float [pairs.n_inputs, C_in].
        weight: float [K, C_in, C_out].

    Returns:
        float [pairs.n_outputs, C_out].
    """
    on_cpu = features.device.type == "cpu" and features.dtype == weight.dtype == torch.float32
    native_here = on_cpu and _engine != "torch" and native.library() is not None
    function = _NativeConvolution if native_here else _TorchConvolution
    return function.apply(features, weight, pairs)  # type: ignore[no-any-return, no-untyped-call]


@contextmanager
def only_torch() -> Iterator[None]:
    """Compute with PyTorch inside the block also where the C++ kernel was built (to compare)."""
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
        features, weight = features.contiguous(), weight.contiguous()
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
            turned = weight.transpose(1, 2).contiguous()
            to_features = _native_sum(gradient, turned, pairs.reversed)
        to_weight = torch.empty_like(weight)
        offsets, c_in, c_out = weight.shape
        kernel = native.library()
        assert kernel is not None
        kernel.otoc_weight_gradient(
            *(features.data_ptr(), gradient.data_ptr(), to_weight.data_ptr()),
            *(c_in, c_out, offsets),
            *(pairs.inputs.data_ptr(), pairs.outputs.data_ptr(), pairs.offset_start.ctypes.data),
            torch.get_num_threads(),
        )
        return to_features, to_weight, None


def _native_sum(features: Tensor, weight: Tensor, pairs: Pairs) -> Tensor:
    offsets, c_in, c_out = weight.shape
    if len(features) != pairs.n_inputs or features.shape[1] != c_in:
        raise ValueError(
            f"features are {list(features.shape)}, the maps and weights want "
            f"[{pairs.n_inputs}, {c_in}]"
        )
    result = features.new_empty(pairs.n_outputs, c_out)
    kernel = native.library()
    assert kernel is not None
    kernel.otoc_convolve(
        *(features.data_ptr(), weight.data_ptr(), result.data_ptr()),
        *(pairs.n_outputs, c_in, c_out, offsets),
        *(pairs.inputs.data_ptr(), pairs.outputs.data_ptr(), pairs.block_start.ctypes.data),
        *(native.BLOCK_ROWS, torch.get_num_threads()),
    )
    return result


def _level_maps(level: Level, n_coarser: int, device: torch.device) -> LevelMaps:
    inputs, outputs, sizes = _pairs_of_table(level.neighbours)
    same = _pairs(inputs, outputs, sizes, len(level), len(level), device)
    if level.parent is None or level.child is None:
        return LevelMaps(same, None, None)
    order = np.argsort(level.child, kind="stable").astype(np.int32)
    sizes = np.bincount(level.child, minlength=8)
    down = _pairs(order, level.parent[order], sizes, len(level), n_coarser, device)
    return LevelMaps(same, down, down.reversed)


def _pairs(
    inputs: NDArray[np.int32],
    outputs: NDArray[np.int32],
    sizes: NDArray[Any],
    n_inputs: int,
    n_outputs: int,
    device: torch.device,
) -> Pairs:
    return Pairs(
        torch.from_numpy(inputs).to(device),
        torch.from_numpy(outputs).to(device),
        tuple(sizes.tolist()),
        n_inputs,
        n_outputs,
    )


@compiled
def _pairs_of_table(table):  # type: ignore[no-untyped-def]
    rows, offsets = table.shape
    sizes = np.zeros(offsets, np.int64)
    for i in range(rows):
        for k in range(offsets):
            sizes[k] += table[i, k] >= 0
    place = np.cumsum(sizes) - sizes
    inputs = np.empty(sizes.sum(), np.int32)
    outputs = np.empty(sizes.sum(), np.int32)
    for i in range(rows):
        for k in range(offsets):
            if table[i, k] >= 0:
                inputs[place[k]] = table[i, k]
                outputs[place[k]] = i
                place[k] += 1
    return inputs, outputs, sizes


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


@compiled
def _starts_of_blocks(outputs, offset_start, n_outputs, block_rows):  # type: ignore[no-untyped-def]
    blocks = (n_outputs + block_rows - 1) // block_rows
    offsets = len(offset_start) - 1
    starts = np.empty((blocks + 1, offsets), np.int32)
    for k in range(offsets):
        pair = offset_start[k]
        for block in range(blocks + 1):
            while pair < offset_start[k + 1] and outputs[pair] < block * block_rows:
                pair += 1
            starts[block, k] = pair
    return starts
