"""The one class table of a site, which its models carry with them."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from otoc_ros.core.errors import InputError
from otoc_ros.site.documents import Document, parse

MAX_CLASSES = 1000

ClassName = Annotated[
    str, Field(min_length=1, max_length=60, pattern=r"^[^\s,:]([^,:\n]*[^\s,:])?$")
]
Channel = Annotated[int, Field(ge=0, le=255)]


class ClassInfo(Document):
    """One class: its name, its colour (red, green, blue of 0..255) and whether it has instances.

    kind `thing` has countable objects (chair); `stuff` has none (wall, floor, ceiling).
    """

    name: ClassName
    color: tuple[Channel, Channel, Channel]
    kind: Literal["thing", "stuff"] = "thing"


def parse_classes(text: str) -> list[ClassInfo]:
    """A class table from `wall:stuff,floor:stuff,chair`; kind is thing where none is given.

    Raises:
        InputError: no names, an unusable name, or a kind other than thing and stuff.
    """
    classes = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, kind = (part.strip() for part in entry.partition(":"))
        if kind not in ("", "thing", "stuff"):
            raise InputError(
                f"class {entry!r} has kind {kind!r}; write {name}:thing or {name}:stuff"
            )
        classes.append((name, kind or "thing"))
    if not classes:
        raise InputError("no classes given; list them as in wall:stuff,floor:stuff,chair")
    return [
        parse(ClassInfo, {"name": name, "color": distinct_color(row), "kind": kind}, f"class {row}")
        for row, (name, kind) in enumerate(classes)
    ]


def class_id(classes: Sequence[ClassInfo], name: str) -> int:
    """Row of a class in the table.

    Raises:
        InputError: the table has no class of that name.
    """
    for row, known in enumerate(classes):
        if known.name == name:
            return row
    known_names = ", ".join(known.name for known in classes)
    raise InputError(f"unknown class {name!r}; the site has {known_names}")


def distinct_color(row: int) -> tuple[int, int, int]:
    """A colour for the class in some row; the colours of nearby rows are easy to tell apart."""
    hue = row * 0.618033988749895 % 1.0  # the golden ratio never comes close to a former hue soon
    value = (0.9, 0.7, 0.95)[row % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, (0.65, 0.8, 0.45)[row // 3 % 3], value)
    return round(red * 255), round(green * 255), round(blue * 255)
