"""Kernel maps as lists of pairs, the form that sparse convolutions are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.compiled import compiled
from otoc_ros.core.native import BLOCK_ROWS
from otoc_ros.core.voxels import Int32, Level, kernel_maps


@dataclass(frozen=True, eq=False)
class PairList:
    """Which input row feeds which output row, through which offset.

    Attributes:
        inputs, outputs: int32 [P], sorted by offset, and within an offset by either row: moving all
            voxels by one offset keeps their order.
        offset_start: int32 [K + 1], first pair of each offset, and P.
        n_inputs, n_outputs: rows on either side.
    """

    inputs: Int32
    outputs: Int32
    offset_start: Int32
    n_inputs: int
    n_outputs: int

    @cached_property
    def reversed(self) -> PairList:
        """The pairs of the transposed convolution."""
        return PairList(self.outputs, self.inputs, self.offset_start, self.n_outputs, self.n_inputs)

    @cached_property
    def block_start(self) -> Int32:
        """int32 [blocks + 1, K], first pair at or after each block of BLOCK_ROWS output rows."""
        starts: Int32 = _starts_of_blocks(
            self.outputs, self.offset_start, self.n_outputs, BLOCK_ROWS
        )
        return starts


def sparse_pairs(coords: NDArray[Any], levels: int) -> dict[str, PairList]:
    """The maps of a network for one cloud or a batch of clouds, by name.

    Args:
        coords: int [V, 3] or [V, 4], sorted and unique; limits as for `kernel_maps`.
        levels: resolutions of the network.

    Returns:
        same{l} for each level, down{l} and up{l} between it and the next coarser one.

    Raises:
        InputError: as `kernel_maps`.
    """
    tables = kernel_maps(coords, levels)
    found = {}
    for number, table in enumerate(tables):
        found[f"same{number}"] = same_level_pairs(table)
        if table.parent is not None:
            down = coarser_level_pairs(table, len(tables[number + 1]))
            found[f"down{number}"], found[f"up{number}"] = down, down.reversed
    return found


def same_level_pairs(level: Level) -> PairList:
    """The 27 offsets of a submanifold convolution."""
    inputs, outputs, starts = _pairs_of_table(level.neighbours)
    return PairList(inputs, outputs, starts, len(level), len(level))


def coarser_level_pairs(level: Level, n_coarser: int) -> PairList:
    """The 8 offsets of a strided convolution onto the next level of `n_coarser` voxels."""
    if level.parent is None or level.child is None:
        raise ValueError("the last level has nothing below it")
    order = np.argsort(level.child, kind="stable").astype(np.int32)
    starts = _starts(np.bincount(level.child, minlength=8))
    return PairList(order, level.parent[order], starts, len(level), n_coarser)


def identity_pairs(count: int) -> PairList:
    """One offset that feeds every row from itself: a linear layer."""
    rows = np.arange(count, dtype=np.int32)
    return PairList(rows, rows, np.array([0, count], np.int32), count, count)


def _starts(sizes: np.ndarray) -> Int32:
    return np.append(0, np.cumsum(sizes)).astype(np.int32)


@compiled
def _pairs_of_table(table):  # type: ignore[no-untyped-def]
    rows, offsets = table.shape
    starts = np.zeros(offsets + 1, np.int32)
    for i in range(rows):
        for k in range(offsets):
            starts[k + 1] += table[i, k] >= 0
    for k in range(offsets):
        starts[k + 1] += starts[k]
    place = starts[:-1].copy()
    inputs = np.empty(starts[-1], np.int32)
    outputs = np.empty(starts[-1], np.int32)
    for i in range(rows):
        for k in range(offsets):
            if table[i, k] >= 0:
                inputs[place[k]] = table[i, k]
                outputs[place[k]] = i
                place[k] += 1
    return inputs, outputs, starts


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
