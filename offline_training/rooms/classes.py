"""What the simulated rooms are labelled with."""

from __future__ import annotations

STUFF = ("wall", "floor", "ceiling")

# name -> the colour a viewer paints it in
COLORS: dict[str, tuple[int, int, int]] = {
    "wall": (174, 199, 232),
    "floor": (152, 223, 138),
    "ceiling": (199, 199, 199),
    "door": (214, 39, 40),
    "window": (197, 176, 213),
    "table": (255, 152, 150),
    "chair": (188, 189, 34),
    "sofa": (140, 86, 75),
    "bed": (255, 187, 120),
    "bookcase": (148, 103, 189),
    "cabinet": (31, 119, 180),
    "monitor": (23, 190, 207),
    "lamp": (255, 221, 51),
    "plant": (44, 160, 44),
    "bin": (96, 96, 96),
    "picture": (227, 119, 194),
    "curtain": (219, 219, 141),
    "box": (196, 126, 58),
}
CLASS_NAMES = tuple(COLORS)

# Small things on desks and shelves that nobody would click: semantic -1 in the truth.
UNLABELLED = "clutter"


def class_id(name: str) -> int:
    """Index of a class in `CLASS_NAMES`; -1 for clutter."""
    return -1 if name == UNLABELLED else CLASS_NAMES.index(name)
