"""Ground truth of a scene: a class and an object for every point."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.errors import InputError
from otoc_ros.site.files import atomic_write


@dataclass(frozen=True, eq=False)
class Truth:
    """What each of the N points of a scene really is.

    Attributes:
        semantic: int32 [N], row of the site's class table, -1 = unknown.
        instance: int32 [N], number of the object, 0 = none.

    Raises:
        InputError: the arrays do not have the shape above, or hold fractions.
    """

    semantic: NDArray[np.int32]
    instance: NDArray[np.int32]

    def __post_init__(self) -> None:
        for name in ("semantic", "instance"):
            object.__setattr__(self, name, _labels(getattr(self, name), name))
        if len(self.semantic) != len(self.instance):
            raise InputError(
                f"truth has {len(self.semantic)} classes but {len(self.instance)} instances; "
                "give one of each a point"
            )

    def __len__(self) -> int:
        return len(self.semantic)

    def take(self, rows: NDArray[Any]) -> Truth:
        """The truth of some points: an index array or a boolean mask [N]."""
        return Truth(self.semantic[rows], self.instance[rows])

    def check(self, points: int, classes: int, place: str) -> None:
        """Raise InputError unless it fits a cloud of some points and a table of some classes."""
        if len(self) != points:
            raise InputError(f"{place}: truth has {len(self)} rows but the cloud {points} points")
        if points and not -1 <= self.semantic.min() <= self.semantic.max() < classes:
            low, high = self.semantic.min(), self.semantic.max()
            raise InputError(
                f"{place}: semantic holds {low} to {high} but the site has classes 0 to "
                f"{classes - 1} (-1 = unknown); add the classes or correct the truth"
            )
        if points and self.instance.min() < 0:
            raise InputError(f"{place}: instance holds {self.instance.min()}; 0 means none")


def read_truth(path: Path) -> Truth:
    """Read truth.npz; InputError where it is damaged or lacks `semantic` or `instance`."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Truth(arrays["semantic"], arrays["instance"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:  # a damaged archive fails in zipfile, zlib and NumPy alike
        raise InputError(f"cannot read {path}: {_line(error)}; restore or remove it") from error


def write_truth(path: Path, truth: Truth) -> None:
    """Replace truth.npz as a whole."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, semantic=truth.semantic, instance=truth.instance)
    atomic_write(path, buffer.getvalue())


def _labels(values: Any, name: str) -> NDArray[np.int32]:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iub":
        raise InputError(
            f"{name} is {array.dtype} of shape {array.shape}; give one whole number a point"
        )
    if array.size and (array.max() >= 2**31 or array.min() < -(2**31)):
        raise InputError(f"{name} holds {array.max()}; it must fit 32 bits")
    return np.ascontiguousarray(array, dtype=np.int32)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
