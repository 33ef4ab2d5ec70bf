"""The reach of all clicks of a site: what is usual of a class, all of its scenes tell together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from offline_training import parallel
from offline_training.reach.by_hand import ample_areas, object_areas, reach_by_hand
from offline_training.reach.model import LOOKS, ReachModel
from offline_training.reach.shares import Shares, log_reach, nothing_reached, usual_areas
from offline_training.scene_store import SceneStore
from offline_training.scenes import TrainingScene

F64 = NDArray[np.float64]

# Of a scene, from which the model shares it: hardly one that it learnt from has fewer.
FEWEST_CLICKS = 9


def reach_every_scene(
    store: SceneStore,
    rows: Sequence[int],
    thing: NDArray[np.bool_],
    model: ReachModel | None,
    advance: Callable[[], object],
) -> None:
    """Leave each scene's "reach", float32 [M, C], in the store.

    Args:
        store: holds all scenes; several processes may share it.
        rows: of the scenes that this process works on.
        thing: bool [C].
        model: None where clicks tell of their own super-voxel alone.
        advance: told after each look at a scene of this process.
    """
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


def _look_at_scene(
    store: SceneStore,
    row: int,
    thing: NDArray[np.bool_],
    model: ReachModel | None,
    usual: F64,
    look: int,
) -> None:
    scene = store.scene(row)
    names = np.array([mark.class_id for mark in scene.marks if mark.kind != "exclude"], np.int64)
    if model is None or len(names) == 0:
        nothing = nothing_reached(scene.prepared.n_supervoxels, len(thing))
        store.write(row, "reach", {"reach": nothing})
        store.write(row, "areas", {"name": names[:0], "area": np.empty(0)})
    elif len(names) < FEWEST_CLICKS:
        if look < 2:
            _reach_by_hand(store, row, scene, thing, usual, look)
    else:
        clicked = model.clicked(scene, thing)
        before = Shares(clicked, store.read(row, "share")["share"], usual) if look else None
        share = model.share(clicked, before, look)
        store.write(row, "share", {"share": share})
        store.write(row, "reach", {"reach": log_reach(share, clicked.name, len(thing))})
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
    store.write(row, "areas", {"name": names, "area": object_areas(scene, reach)})
