"""NPZ files: a scan as NumPy arrays, with or without ground truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.readers.guard import reading
from otoc_ros.site.truth import Truth


def read_npz(path: Path) -> tuple[Cloud, Truth | None]:
    """Arrays `xyz` [N, 3] metres, optional `rgb` uint8 and `normal` [N, 3]; optional truth.

    Truth is `semantic` [N] (row of the site's class table, -1 = unknown) and `instance` [N]
    (0 = none); one of the two may be missing. Other arrays are ignored; nothing is unpickled.

    Raises:
        InputError: missing, empty, damaged, no xyz, or arrays of the wrong shape.
    """
    with reading(path, "NPZ"), np.load(path, allow_pickle=False) as arrays:
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise InputError("it is a single array; save xyz and rgb by name with np.savez")
        if "xyz" not in arrays:
            raise InputError(f"it has no array xyz (it has: {', '.join(arrays.files[:12])})")
        if "rgb" in arrays and arrays["rgb"].dtype != np.uint8:
            raise InputError(f"its rgb is {arrays['rgb'].dtype}; store bytes of 0..255 (uint8)")
        cloud = Cloud(
            arrays["xyz"],
            arrays.get("rgb"),
            arrays.get("normal"),
        )
        if "semantic" not in arrays and "instance" not in arrays:
            return cloud, None
        shape = arrays["semantic" if "semantic" in arrays else "instance"].shape
        truth = Truth(
            arrays.get("semantic", np.full(shape, -1, np.int32)),
            arrays.get("instance", np.zeros(shape, np.int32)),
        )
        if len(truth) != len(cloud):
            raise InputError(f"its truth has {len(truth)} rows but xyz has {len(cloud)}")
        return cloud, truth
