"""Arrays in one file, mapped into memory: the operating system reads what is looked at, and takes
the memory back when others need it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.site.files import writing

ALIGNMENT = 64  # bytes
_LENGTH = np.dtype("<u8")  # of the header, in front of it

Arrays = dict[str, NDArray[Any]]


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name; an older file of that name stays whole for those who have mapped it.

    For scratch files, which nobody misses after a power cut: nothing is synced.

    Raises:
        InputError: the disk is full or not writable.
    """
    header, end = {}, 0
    for name, array in arrays.items():
        header[name] = (array.dtype.str, array.shape, end)
        end += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + _LENGTH.itemsize) % ALIGNMENT)
    aside = path.with_name(f"{path.name}.part")
    with writing(path):
        with aside.open("wb") as file:
            file.write(np.array(len(text), _LENGTH).tobytes() + text)
            for array in arrays.values():
                file.write(np.ascontiguousarray(array).data)
                file.write(bytes(-array.nbytes % ALIGNMENT))
        aside.replace(path)


def map_arrays(path: Path) -> Arrays:
    """What `write_arrays` wrote. Changes to the arrays stay in memory, the file is left alone."""
    data = np.asarray(np.memmap(path, np.uint8, mode="c"))
    start = _LENGTH.itemsize
    length = int(data[:start].view(_LENGTH)[0])
    arrays = {}
    for name, (kind, shape, begin) in json.loads(data[start : start + length].tobytes()).items():
        dtype = np.dtype(kind)
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        place = start + length + begin
        arrays[name] = data[place : place + size].view(dtype).reshape(shape)
    return arrays
