"""A point cloud as arrays, and the direction that is up in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.errors import InputError


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points of one scan.

    Attributes:
        xyz: float32 [N, 3], metres, any frame; rows may be NaN or infinite (missing returns).
        rgb: uint8 [N, 3] or None when the sensor has no colour.
        normal: float32 [N, 3] unit normals or None.

    Raises:
        InputError: an array does not have the shape above.
    """

    xyz: NDArray[np.float32]
    rgb: NDArray[np.uint8] | None = None
    normal: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "xyz", _as_rows(self.xyz, np.float32, "xyz", None))
        if self.rgb is not None:
            object.__setattr__(self, "rgb", _as_rows(self.rgb, np.uint8, "rgb", len(self.xyz)))
        if self.normal is not None:
            normal = _as_rows(self.normal, np.float32, "normal", len(self.xyz))
            object.__setattr__(self, "normal", normal)

    def __len__(self) -> int:
        return len(self.xyz)

    def take(self, rows: NDArray[Any]) -> Cloud:
        """The cloud of some rows: an index array or a boolean mask [N]."""
        return Cloud(
            self.xyz[rows],
            None if self.rgb is None else self.rgb[rows],
            None if self.normal is None else self.normal[rows],
        )


def _as_rows(values: Any, dtype: Any, name: str, count: int | None) -> NDArray[Any]:
    array = np.ascontiguousarray(values, dtype=dtype)
    if array.ndim != 2 or array.shape[1] != 3:
        raise InputError(f"{name} of a cloud has shape {array.shape}; give an [N, 3] array")
    if count is not None and len(array) != count:
        raise InputError(f"{name} has {len(array)} rows but xyz has {count}; give one a point")
    return array
