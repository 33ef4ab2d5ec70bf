"""Which furniture families each split owns. No family of a class appears in two splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from offline_training.rooms import (
    containers,
    fixtures,
    lamps,
    monitors,
    plants,
    seating,
    storage,
    tables,
)
from offline_training.rooms.draw import Draw
from offline_training.rooms.piece import Piece

_BUILDERS: dict[str, Callable[..., Piece]] = {
    "chair": seating.chair,
    "sofa": seating.sofa,
    "bed": seating.bed,
    "table": tables.table,
    "cabinet": storage.cabinet,
    "bookcase": storage.bookcase,
    "box": containers.carton,
    "bin": containers.waste_bin,
    "monitor": monitors.monitor,
    "lamp": lamps.lamp,
    "plant": plants.plant,
    "door": fixtures.door,
    "window": fixtures.window,
    "picture": fixtures.picture,
    "curtain": fixtures.curtain,
}


@dataclass(frozen=True)
class Family:
    """A variant of a class: what its builder is called with, and what the piece is used for."""

    class_name: str
    variant: dict[str, Any]
    uses: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """Names the variant; unique over all splits."""
        return "-".join([self.class_name, *(str(value) for value in self.variant.values())])


def _families(class_name: str, *rows: tuple[Any, ...]) -> list[Family]:
    """Rows are (variant, use, use, …)."""
    return [Family(class_name, row[0], tuple(row[1:])) for row in rows]


def _v(**variant: Any) -> dict[str, Any]:
    return variant


FAMILIES: dict[str, list[Family]] = {
    "train": [
        *_families(
            "chair",
            (_v(legs="square4", back="slats"), "plain"),
            (_v(legs="star5", back="padded", seat="padded", arms=True), "office"),
            (_v(legs="star5", back="frame", seat="padded"), "office"),
            (_v(legs="sled", back="solid"), "plain"),
            (_v(legs="splayed4", back="shell", seat="round"), "plain"),
            (_v(legs="round4", back="frame", seat="padded", arms=True), "plain"),
        ),
        *_families(
            "table",
            (_v(top="rect", legs="square4"), "dining", "desk", "coffee", "meeting"),
            (_v(top="round", legs="disc"), "dining", "coffee"),
            (_v(top="rect", legs="drawers"), "desk"),
            (_v(top="rect", legs="trestle"), "dining", "meeting"),
            (_v(top="chamfer", legs="panels"), "coffee", "desk", "meeting"),
        ),
        *_families(
            "sofa",
            (_v(arms="block", back="cushions", base="plinth"),),
            (_v(arms="round", back="single", base="legs"),),
            (_v(arms="none", back="cushions", base="legs"),),
            (_v(arms="block", back="single", base="plinth", chaise=True),),
        ),
        *_families(
            "bed",
            (_v(head="panel", base="legs"),),
            (_v(head="cushion", base="box"),),
            (_v(head="bars", base="legs"),),
            (_v(head="none", base="box"),),
        ),
        *_families("bookcase", (_v(frame="plain"),), (_v(frame="cubes"),), (_v(frame="ladder"),)),
        *_families(
            "cabinet",
            (_v(fronts="doors", base="plinth"), "low", "tall", "wall", "counter"),
            (_v(fronts="drawers", base="legs"), "low", "night"),
            (_v(fronts="mixed", base="plinth"), "low", "counter"),
            (_v(fronts="louvre", base="legs"), "low", "tall"),
            (_v(fronts="plain", base="legs"), "night", "wall"),
        ),
        *_families(
            "monitor",
            (_v(stand="plate"), "desk", "tv"),
            (_v(stand="vfoot"), "desk", "tv"),
            (_v(stand="laptop"), "desk"),
        ),
        *_families(
            "lamp",
            (_v(kind="cone"), "floor"),
            (_v(kind="torchiere"), "floor"),
            (_v(kind="arm"), "desk"),
            (_v(kind="drum"), "desk"),
            (_v(kind="dome"), "ceiling"),
            (_v(kind="panel"), "ceiling"),
        ),
        *_families(
            "plant",
            (_v(foliage="bush", pot="cone"), "floor", "desk"),
            (_v(foliage="blades", pot="box"), "floor", "desk"),
            (_v(foliage="tree", pot="cone"), "floor"),
            (_v(foliage="palm", pot="bowl"), "floor"),
        ),
        *_families("bin", (_v(kind="taper"),), (_v(kind="square"),)),
        *_families(
            "door",
            (_v(panels="flat", handle="lever"),),
            (_v(panels="two", handle="knob"),),
            (_v(panels="glass", handle="bar"),),
        ),
        *_families(
            "window",
            (_v(columns=1, rows=1),),
            (_v(columns=2, rows=1),),
            (_v(columns=2, rows=2),),
        ),
        *_families("picture", (_v(kind="framed"),), (_v(kind="canvas"),)),
        *_families("curtain", (_v(kind="waves"),), (_v(kind="roller"),)),
        *_families("box", (_v(kind="closed"),), (_v(kind="flaps"),)),
    ],
    "dev": [
        *_families(
            "chair",
            (_v(legs="round4", back="rungs"), "plain"),
            (_v(legs="disc", back="padded", seat="padded"), "plain"),
            (_v(legs="star5", back="low", seat="padded", arms=True), "office"),
        ),
        *_families(
            "table",
            (_v(top="round", legs="three"), "dining", "coffee"),
            (_v(top="rect", legs="tframe"), "desk", "dining", "meeting"),
            (_v(top="oval", legs="disc"), "coffee", "dining"),
        ),
        *_families(
            "sofa",
            (_v(arms="thin", back="single", base="legs"),),
            (_v(arms="round", back="cushions", base="plinth"),),
        ),
        *_families("bed", (_v(head="panel", base="platform"),), (_v(head="none", base="legs"),)),
        *_families("bookcase", (_v(frame="rods"),)),
        *_families(
            "cabinet",
            (_v(fronts="doors", base="legs"), "low", "tall", "wall"),
            (_v(fronts="sliding", base="plinth"), "low", "tall", "counter"),
            (_v(fronts="plain", base="plinth"), "night", "counter"),
        ),
        *_families("monitor", (_v(stand="post"), "desk"), (_v(stand="tube"), "desk", "tv")),
        *_families(
            "lamp",
            (_v(kind="tripod"), "floor"),
            (_v(kind="mushroom"), "desk"),
            (_v(kind="globe"), "ceiling"),
            (_v(kind="bar"), "ceiling"),
        ),
        *_families(
            "plant",
            (_v(foliage="bush", pot="bowl"), "floor", "desk"),
            (_v(foliage="palm", pot="box"), "floor"),
        ),
        *_families("bin", (_v(kind="pedal"),)),
        *_families("door", (_v(panels="four", handle="lever"),)),
        *_families("window", (_v(columns=3, rows=1),)),
        *_families("picture", (_v(kind="poster"),), (_v(kind="mat"),)),
        *_families("curtain", (_v(kind="pleats"),)),
        *_families("box", (_v(kind="crate"),)),
    ],
    "val": [
        *_families(
            "chair",
            (_v(legs="splayed4", back="spindles"), "plain"),
            (_v(legs="star4", back="solid", seat="padded", arms=True), "office"),
            (_v(legs="star4", back="shell", seat="round"), "office"),
            (_v(legs="square4", back="low"), "plain"),
            (_v(legs="trestle", back="rungs"), "plain"),
            (_v(legs="disc", back="shell", seat="round"), "plain"),
        ),
        *_families(
            "table",
            (_v(top="oval", legs="twin"), "dining", "meeting"),
            (_v(top="chamfer", legs="splayed4"), "dining", "coffee", "desk"),
            (_v(top="rect", legs="sled"), "desk", "coffee"),
            (_v(top="round", legs="round4"), "coffee", "dining"),
            (_v(top="chamfer", legs="tframe"), "desk", "meeting"),
        ),
        *_families(
            "sofa",
            (_v(arms="block", back="tufted", base="legs"),),
            (_v(arms="wing", back="single", base="plinth"),),
            (_v(arms="thin", back="cushions", base="plinth", chaise=True),),
        ),
        *_families(
            "bed",
            (_v(head="bars", base="platform"),),
            (_v(head="shelf", base="box"),),
            (_v(head="cushion", base="drawers"),),
        ),
        *_families("bookcase", (_v(frame="staggered"),), (_v(frame="cupboard"),)),
        *_families(
            "cabinet",
            (_v(fronts="drawers", base="plinth"), "low", "night"),
            (_v(fronts="glass", base="legs"), "low", "tall", "wall"),
            (_v(fronts="mixed", base="legs"), "tall", "counter"),
            (_v(fronts="grid", base="plinth"), "tall", "low", "counter"),
            (_v(fronts="sliding", base="legs"), "wall", "tall"),
        ),
        *_families("monitor", (_v(stand="feet"), "desk", "tv")),
        *_families(
            "lamp",
            (_v(kind="arc"), "floor"),
            (_v(kind="globes"), "floor"),
            (_v(kind="gooseneck"), "desk"),
            (_v(kind="tube"), "desk"),
            (_v(kind="cylinder"), "ceiling"),
            (_v(kind="plate"), "ceiling"),
        ),
        *_families(
            "plant",
            (_v(foliage="palm", pot="cylinder"), "floor"),
            (_v(foliage="trailing", pot="bowl"), "floor", "desk"),
            (_v(foliage="cactus", pot="cone"), "floor", "desk"),
            (_v(foliage="tree", pot="box"), "floor"),
        ),
        *_families("bin", (_v(kind="wire"),), (_v(kind="swing"),)),
        *_families(
            "door",
            (_v(panels="three", handle="knob"),),
            (_v(panels="louvre", handle="lever"),),
            (_v(panels="double", handle="bar"),),
        ),
        *_families(
            "window",
            (_v(columns=1, rows=2),),
            (_v(columns=3, rows=2),),
            (_v(columns=4, rows=1),),
        ),
        *_families("picture", (_v(kind="round"),), (_v(kind="pair"),)),
        *_families("curtain", (_v(kind="slats"),), (_v(kind="pinch"),)),
        *_families("box", (_v(kind="lidded"),), (_v(kind="basket"),)),
    ],
}
_NEED_USE = ("table", "cabinet", "monitor", "plant")


def choose(draw: Draw, class_name: str, use: str = "") -> Family:
    """One of this split's families of a class that serve a use."""
    options = [f for f in FAMILIES[draw.split] if f.class_name == class_name]
    return draw.pick([f for f in options if not use or not f.uses or use in f.uses])


def make(draw: Draw, family: Family, use: str = "", **size: Any) -> Piece:
    """A new piece of a family; doors, windows and curtains are told their size."""
    arguments = {**family.variant, **size}
    if family.class_name in _NEED_USE:
        arguments["use"] = use or draw.pick(family.uses)
    piece = _BUILDERS[family.class_name](draw, **arguments)
    piece.family = family.name
    return piece


def build(draw: Draw, class_name: str, use: str = "", **size: Any) -> Piece:
    """A new piece of a class, of any of this split's families that serve a use."""
    return make(draw, choose(draw, class_name, use), use, **size)
