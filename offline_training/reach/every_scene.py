"""The reach of all clicks of a site: what is usual of a class, all of its scenes tell together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from offline_training import parallel
from offline_training.reach.by_hand import ample_areas, object_areas, reach_by_hand
from offline_training.reach.model import LOOKS, ReachModel
from offline_training.reach.naming import (
    CLICKS_A_CLASS,
    Doubt,
    believed_names,
    describe_objects,
    doubts,
    renamed,
)
from offline_training.reach.shares import Shares, log_reach, nothing_reached, usual_areas
from offline_training.scene_store import SceneStore
from offline_training.scenes import Mark, TrainingScene

F64 = NDArray[np.float64]

# Of a scene, from which the model shares it: hardly one that it learnt from has fewer.
FEWEST_CLICKS = 9


def reach_every_scene(
    store: SceneStore,
    rows: Sequence[int],
    thing: NDArray[np.bool_],
    model: ReachModel | None,
    advance: Callable[[], object],
) -> list[Doubt]:
    """Leave each scene's "reach", float32 [M, C], in the store, and its "share", float32 [M, J], of
    the clicks; J is 0 where the model shared nothing.

    Marks that look wrong become doubted ones there, which name what their object looks like.

    Args:
        store: holds all scenes; several processes may share it.
        rows: of the scenes that this process works on.
        thing: bool [C].
        model: None where clicks tell of their own super-voxel alone.
        advance: told after each look at a scene of this process.

    Returns:
        the clicks of all scenes that look wrong.
    """
    doubted = name_every_object(store, rows, thing, model) if model else []
    usual: F64 = np.full(len(thing), np.nan)
    for look in range(LOOKS if model else 1):
        for row in rows:
            _look_at_scene(store, row, thing, model, usual, look)
            advance()
        parallel.wait()
        found = [store.read(row, "areas") for row in range(len(store.names))]
        names, areas = [each["name"] for each in found], [each["area"] for each in found]
        usual = usual_areas(names, areas, len(thing))
        parallel.wait()
    return doubted


def name_every_object(
    store: SceneStore, rows: Sequence[int], thing: NDArray[np.bool_], model: ReachModel
) -> list[Doubt]:
    """Leave what each click's object is, "named" float64 [J, C], of each scene that the model
    shares, and doubt the clicks that look wrong.

    What a person accepted is beyond doubt, and so are clicks of a class that has few, and all of a
    site that has few.

    Arguments and result as of `reach_every_scene`.
    """
    marks = [store.scene(row).marks for row in range(len(store.names))]
    shared = [row for row, own in enumerate(marks) if len(_said(own)) >= FEWEST_CLICKS]
    said = [mark for row in shared for mark in _said(marks[row])]
    name = np.array([mark.class_id for mark in said], np.int64)
    clicked = np.array([mark.kind == "click" for mark in said], bool)
    named = np.eye(len(thing))[name]
    enough = clicked.any() and clicked.sum() >= CLICKS_A_CLASS * len(np.unique(name[clicked]))
    if enough:
        for row in (row for row in shared if row in rows):
            features = describe_objects(model.clicked(store.scene(row), thing), model)
            store.write(row, "objects", {"features": features})
        parallel.wait()
        looks = np.concatenate([store.read(row, "objects")["features"] for row in shared])
        named[clicked] = believed_names(looks[clicked], name[clicked], len(thing))
    doubted, begin = [], 0
    for row in shared:
        own = named[begin : begin + len(_said(marks[row]))]
        begin += len(own)
        of_scene = doubts(row, marks[row], own)
        doubted += of_scene
        if row in rows:
            store.write(row, "named", {"named": own})
            store.write_marks(row, renamed(marks[row], of_scene))
    parallel.wait()
    return doubted


def _said(marks: Sequence[Mark]) -> list[Mark]:
    return [mark for mark in marks if mark.names]


def _look_at_scene(
    store: SceneStore,
    row: int,
    thing: NDArray[np.bool_],
    model: ReachModel | None,
    usual: F64,
    look: int,
) -> None:
    scene = store.scene(row)
    names = np.array([mark.class_id for mark in _said(scene.marks)], np.int64)
    if model is None or len(names) == 0:
        nothing = nothing_reached(scene.prepared.n_supervoxels, len(thing))
        store.write(row, "reach", {"reach": nothing})
        store.write(row, "share", {"share": nothing[:, :0]})
        store.write(row, "areas", {"name": names[:0], "area": np.empty(0)})
    elif len(names) < FEWEST_CLICKS:
        if look < 2:
            _reach_by_hand(store, row, scene, thing, usual, look)
    else:
        clicked = model.clicked(scene, thing)
        before = Shares(clicked, store.read(row, "share")["share"], usual) if look else None
        share = model.share(clicked, before, look)
        store.write(row, "share", {"share": share})
        store.write(row, "reach", {"reach": log_reach(share, store.read(row, "named")["named"])})
        store.write(row, "areas", {"name": clicked.name, "area": clicked.look.area @ share})


def _reach_by_hand(
    store: SceneStore,
    row: int,
    scene: TrainingScene,
    thing: NDArray[np.bool_],
    usual: F64,
    look: int,
) -> None:
    """Reach from the clicks, and once more from those that leaked, now that it is known how large
    the things of each class are."""
    ample = None
    if look:
        ample = ample_areas(scene.marks, store.read(row, "areas")["area"], usual)
        if not np.isfinite(ample).any():
            return
    reach = reach_by_hand(scene, thing, ample)
    names = np.array([mark.class_id for mark in scene.marks], np.int64)
    store.write(row, "reach", {"reach": reach})
    store.write(row, "share", {"share": reach[:, :0]})
    store.write(row, "areas", {"name": names, "area": object_areas(scene, reach)})
