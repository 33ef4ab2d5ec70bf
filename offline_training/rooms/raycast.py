"""A furnished room as triangles that rays can meet (Intel's Embree), and how it looks there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from numpy.typing import NDArray

from offline_training.rooms.appearance import Light, shade
from offline_training.rooms.classes import STUFF, class_id
from offline_training.rooms.layout import Layout

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Hits:
    """Rays that met something: one row a hit.

    Attributes:
        ray: int64, index of the ray.
        distance: float32, metres along it.
        point, normal: float32 [N, 3]; normals face the camera.
        cosine: float32, of the angle between the ray and the normal.
        owner, row: int32, the placed piece and its material.
    """

    ray: NDArray[np.int64]
    distance: Array
    point: Array
    normal: Array
    cosine: Array
    owner: NDArray[np.int32]
    row: NDArray[np.int32]


class Scene:
    """The room's surfaces with their truth and materials.

    Attributes:
        semantic, instance: int32 [O], class and instance number of each placed piece.
        materials: float32 [K, 12], rows of `Material.row`.
    """

    def __init__(self, layout: Layout, light: Light) -> None:
        self.light = light
        triangles, owners, rows = [], [], []
        materials: list[list[float]] = []
        known: dict[int, int] = {}
        rotations, positions, semantic, instance = [], [], [], []
        number = 0
        for owner, placed in enumerate(layout.placed):
            c, s = np.cos(placed.yaw), np.sin(placed.yaw)
            rotations.append([[c, -s, 0], [s, c, 0], [0, 0, 1]])
            positions.append(placed.position)
            semantic.append(class_id(placed.piece.class_name))
            thing = semantic[-1] >= 0 and placed.piece.class_name not in STUFF
            number += thing
            instance.append(number if thing else 0)
            for local, slot in placed.piece.parts:
                look = placed.look[slot]
                if id(look) not in known:
                    known[id(look)] = len(materials)
                    materials.append(look.row())
                triangles.append(placed.to_room(local))
                owners.append(np.full(len(local), owner))
                rows.append(np.full(len(local), known[id(look)]))
        self.semantic = np.array(semantic, np.int32)
        self.instance = np.array(instance, np.int32)
        self.materials = np.array(materials, np.float32)
        self._rotation = np.array(rotations, np.float32)
        self._position = np.array(positions, np.float32)
        self._owner = np.concatenate(owners).astype(np.int32)
        self._row = np.concatenate(rows).astype(np.int32)
        self._embree = rtcore_scene.EmbreeScene()
        TriangleMesh(self._embree, np.concatenate(triangles).astype(np.float32))

    def cast(self, origin: Array, direction: Array) -> Hits:
        """What rays [N, 3] with unit directions meet first."""
        out = self._embree.run(origin, direction, output=1)
        hit = np.flatnonzero(out["primID"] >= 0)
        normal = out["Ng"][hit] / (np.linalg.norm(out["Ng"][hit], axis=1, keepdims=True) + 1e-12)
        facing = np.einsum("ij,ij->i", normal, direction[hit])
        normal *= -np.sign(facing)[:, None]
        triangle = out["primID"][hit]
        distance = out["tfar"][hit]
        return Hits(
            ray=hit,
            distance=distance,
            point=origin[hit] + direction[hit] * distance[:, None],
            normal=normal.astype(np.float32),
            cosine=np.abs(facing).astype(np.float32),
            owner=self._owner[triangle],
            row=self._row[triangle],
        )

    def color(self, hits: Hits) -> Array:
        """Linear light float32 [N, 3] that leaves the hits toward the camera, with shadows."""
        start = hits.point + hits.normal * np.float32(2e-3)
        lit = np.empty((len(self.light.position), len(start)), bool)
        for k, lamp in enumerate(self.light.position):
            # From the lamp outward: no obstacle when nothing is met before the hit itself.
            ray = start - lamp
            length = np.linalg.norm(ray, axis=1)
            origin = np.ascontiguousarray(np.broadcast_to(lamp, start.shape), np.float32)
            ray = np.ascontiguousarray(ray / length[:, None], np.float32)
            lit[k] = self._embree.run(origin, ray, query="DISTANCE") > length - 0.03
        away = hits.point - self._position[hits.owner]
        local = np.einsum("nij,ni->nj", self._rotation[hits.owner], away)
        light: Array = shade(
            np.ascontiguousarray(local),
            hits.point,
            hits.normal,
            self.materials,
            hits.row,
            self.light.position,
            self.light.color,
            self.light.ambient,
            lit,
        )
        return light
