"""The distinct ones among many keys: sorted by counting, without a hash table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.compiled import compiled

DIGIT_BITS = 9  # half an axis of a voxel's key

Int32 = NDArray[np.int32]


def distinct(keys: NDArray[np.int64]) -> tuple[Int32, Int32]:
    """A row of each distinct key in ascending order, and the place of each key among them."""
    # Points of one voxel often follow each other, in a depth image by the dozen: sort only the
    # first of each such run. Equal keys are alike: their order among themselves does not matter.
    runs = _run_starts(keys)
    return _places(keys, runs, _order(keys[runs]))  # type: ignore[no-any-return]


@compiled
def _run_starts(keys):  # type: ignore[no-untyped-def]
    starts = np.empty(len(keys), np.int32)
    found = 0
    for i in range(len(keys)):
        if i == 0 or keys[i] != keys[i - 1]:
            starts[found] = i
            found += 1
    return starts[:found].copy()


@compiled
def _order(keys):  # type: ignore[no-untyped-def]
    """Rows of the keys in ascending order: int32, by counting a digit at a time."""
    count = len(keys)
    differ = np.int64(0)
    for i in range(1, count):
        differ |= keys[i] ^ keys[0]
    order = np.arange(count).astype(np.int32)
    before = np.empty(count, np.int32)
    for shift in range(0, 63, DIGIT_BITS):
        mask = np.int64((1 << DIGIT_BITS) - 1) << shift
        if differ & mask == 0:  # as the upper half of an axis of a room
            continue
        place = np.zeros((1 << DIGIT_BITS) + 1, np.int32)
        for i in range(count):
            place[((keys[i] & mask) >> shift) + 1] += 1
        for digit in range(1 << DIGIT_BITS):
            place[digit + 1] += place[digit]
        order, before = before, order
        for i in range(count):
            row = before[i]
            digit = (keys[row] & mask) >> shift
            order[place[digit]] = row
            place[digit] += 1
    return order


@compiled
def _places(keys, runs, order):  # type: ignore[no-untyped-def]
    """From sorted runs: a row of each distinct key, and the place of each key among them."""
    first = np.empty(len(runs), np.int32)
    place = np.empty(len(keys), np.int32)
    count = 0
    for i in range(len(order)):
        row = runs[order[i]]
        if i == 0 or keys[row] != keys[first[count - 1]]:
            first[count] = row
            count += 1
        place[row] = count - 1
    for i in range(1, len(keys)):
        if keys[i] == keys[i - 1]:
            place[i] = place[i - 1]
    return first[:count].copy(), place
