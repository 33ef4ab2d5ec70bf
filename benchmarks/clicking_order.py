"""Which object the simulated person clicks next, and how good the labels are by then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otoc_ros.annotate.prototypes import Prototypes
from otoc_ros.annotate.scan import Scan
from otoc_ros.annotate.segments import Segments
from otoc_ros.annotate.suggest import suggestions
from otoc_ros.site.classes import ClassInfo
from otoc_ros.site.clicks import Click
from otoc_ros.site.simulate import scene_rng, simulate_clicks

ORDERS = ("random", "largest", "uncertainty", "ours")


@dataclass(frozen=True, eq=False)
class Room:
    """A scene of the site that is labelled: truth int32 [N] of its points, class and object."""

    scan: Scan
    segments: Segments
    semantic: np.ndarray
    instance: np.ndarray
    pool: list[Click]  # one click an object, as a person would
    size: list[int]  # points of the object of each

    @staticmethod
    def of(scan: Scan, config, seed: int) -> Room:
        truth = scan.scene.truth()
        finite = np.isfinite(scan.scene.cloud().xyz).all(axis=1)
        semantic, instance = truth.semantic[finite], truth.instance[finite]
        pool = simulate_clicks(scan.scene, config, scene_rng(seed, scan.scene.name))
        names = [known.name for known in config.classes]
        size = [
            int(
                (instance == click.object).sum()
                if click.object
                else (semantic == names.index(click.class_name)).sum()
            )
            for click in pool
        ]
        return Room(scan, scan.segments.result(), semantic, instance, pool, size)


def curve(
    rooms: list[Room], classes: tuple[ClassInfo, ...], order: str, rng: np.random.Generator
) -> list[float]:
    """mIoU of what is believed of all points of all rooms after 1, 2, … clicks."""
    said: list[list[Click]] = [[] for _ in rooms]
    passed: list[set[int]] = [set() for _ in rooms]
    todo = [(row, at) for row, room in enumerate(rooms) for at in range(len(room.pool))]
    if order == "random":
        rng.shuffle(todo)
    elif order == "largest":
        todo.sort(key=lambda one: -rooms[one[0]].size[one[1]])
    lits = [room.segments.light([], classes) for room in rooms]
    quality = []
    for step in range(len(todo)):
        prototypes = Prototypes.of(
            [(room.segments, lit) for room, lit in zip(rooms, lits, strict=True)], len(classes)
        )
        if order in ("random", "largest"):
            row, at = todo[step]
            click = rooms[row].pool[at]
        else:
            row, click = _asked(rooms, lits, prototypes, passed, order, classes, step, rng)
        said[row].append(click)
        lits[row] = rooms[row].segments.light(said[row], classes)
        quality.append(miou(rooms, lits, classes))
    return quality


def _asked(rooms, lits, prototypes, passed, order, classes, step, rng) -> tuple[int, Click]:
    """The person clicks on what is suggested, and names what is really there."""
    best = None
    for row, (room, lit) in enumerate(zip(rooms, lits, strict=True)):
        belief = prototypes.believe(room.segments, lit)
        found = suggestions(room.segments, lit, belief, prototypes, passed[row])
        if order == "uncertainty" and belief is not None and found:
            doubt = -(belief * np.log(np.maximum(belief, 1e-9))).sum(1)
            found = sorted(found, key=lambda one: -doubt[one.members].mean())
            worth = doubt[found[0].members].mean()
        elif found:
            worth = found[0].worth if order == "ours" else rng.random()
        if found and (best is None or worth > best[0]):
            best = worth, row, found[0]
    assert best is not None, "nothing is left to ask"
    _, row, one = best
    room = rooms[row]
    passed[row].update(one.members.tolist())
    point = int(room.segments.some_point(np.array([one.place]))[0])
    name = max(int(room.semantic[point]), 0)
    is_thing = classes[name].kind == "thing"
    return row, Click(
        id=f"{order}-{step}",
        position=room.scan.scene_position(point),
        class_name=classes[name].name,
        object=int(room.instance[point]) if is_thing else 0,
        source="simulated",
    )


def miou(rooms: list[Room], lits: list, classes: tuple[ClassInfo, ...]) -> float:
    """IoU accumulated over all rooms, mean over the classes that occur."""
    count = len(classes)
    prototypes = Prototypes.of(
        [(room.segments, lit) for room, lit in zip(rooms, lits, strict=True)], count
    )
    table = np.zeros((count, count))
    for room, lit in zip(rooms, lits, strict=True):
        belief = prototypes.believe(room.segments, lit)
        named = belief.argmax(axis=1)[room.segments.of_point]
        known = room.semantic >= 0
        table += np.bincount(
            room.semantic[known] * count + named[known], minlength=count * count
        ).reshape(count, count)
    hit = np.diag(table)
    union = table.sum(0) + table.sum(1) - hit
    occurs = table.sum(1) > 0
    return float((hit[occurs] / union[occurs]).mean())


def clicks_to(quality: list[float], level: float) -> int:
    """Clicks until a quality is reached for good; all of them where it never is."""
    below = np.flatnonzero(np.array(quality) < level)
    return 1 if not len(below) else min(int(below[-1]) + 2, len(quality))
