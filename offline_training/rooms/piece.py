"""One piece of furniture before it stands in a room."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from offline_training.rooms.shapes import Triangles


@dataclass(frozen=True)
class Support:
    """A flat rectangle that carries other things: x and y ranges and its height, piece frame."""

    low: tuple[float, float]
    high: tuple[float, float]
    z: float
    room_above: float = 1.0  # metres of free height


@dataclass
class Piece:
    """Parts with their materials, in the piece's own frame.

    x runs along the wall behind, the front looks to +y, z is up from the floor (or from what the
    piece is put on). A material is "kind" or "kind.number": parts that name the same one share it.
    """

    class_name: str
    family: str
    parts: list[tuple[Triangles, str]] = field(default_factory=list)
    boxes: list[NDArray[np.float64]] = field(default_factory=list)  # [2, 3] solid bounds
    supports: list[Support] = field(default_factory=list)

    def add(self, triangles: Triangles, material: str, *, solid: bool = True) -> None:
        """Adds a part; `solid` parts keep other furniture out."""
        self.parts.append((triangles, material))
        if solid:
            flat = triangles.reshape(-1, 3)
            self.boxes.append(np.stack([flat.min(0), flat.max(0)]))

    @property
    def low(self) -> NDArray[np.float64]:
        """Lower corner [3] of the whole piece."""
        return np.asarray(np.min([t.min((0, 1)) for t, _ in self.parts], axis=0))

    @property
    def high(self) -> NDArray[np.float64]:
        """Upper corner [3] of the whole piece."""
        return np.asarray(np.max([t.max((0, 1)) for t, _ in self.parts], axis=0))

    @property
    def width(self) -> float:
        """Extent along x."""
        return float(self.high[0] - self.low[0])
