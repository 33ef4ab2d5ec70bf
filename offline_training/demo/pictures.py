"""The pictures of the report: one scene, one viewpoint, many colourings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree

from offline_training.demo.drawing import draw_boxes, draw_pins
from offline_training.demo.palette import class_colors, neighbour_colors, object_colors
from offline_training.demo.splat import F64, View, rasterize
from offline_training.demo.viewpoint import fitted, room_view
from otoc_ros.core.cloud import Cloud, estimate_up, rotation_to_z
from otoc_ros.core.growth import touching
from otoc_ros.core.normals import voxel_normals
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.voxels import mean_per_voxel, voxelize
from otoc_ros.site.classes import ClassInfo
from otoc_ros.site.clicks import Click
from otoc_ros.site.scene import Scene

I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

SIZE = (680, 520)  # pixels of a scene's picture
SHELL = ("wall", "ceiling", "door", "window", "picture", "curtain")  # may stand in the way
ROOM_DISC, VIEW_DISC = 0.015, 0.0045  # metres; radius of a point's disc
ROOM_GRAIN, VIEW_GRAIN = 0.04, 0.012  # metres; surfaces are lit as if they were even over this
CAMERA_GRAIN = 0.015  # of the distance, as a camera's noise grows
VIEW_ANGLE = 30.0  # degrees of a picture of a single view
PIN_REACH = 0.03  # metres from a click to a point that is shown
PHOTO_SHADE = 0.55  # a colour photo has light of its own
PALE, FADED = 222, 0.2  # where nothing is said: this grey, with so much of the photo's contrast


class Canvas:
    """A cloud seen from one place.

    Args:
        cloud: N points; those that are not finite are never seen.
        rotation: float [3, 3], aligned = xyz @ rotation.T, z up.
        view: in the aligned frame; None: a camera's view from where the camera stood.
        keep: bool [N], what is not cut away.
        disc: metres, radius of a point. grain: metres over which the surface is taken for even.
    """

    def __init__(
        self, cloud: Cloud, rotation: F64, view: View, keep: Mask, disc: float, grain: float
    ) -> None:
        self.rows = np.flatnonzero(keep & np.isfinite(cloud.xyz).all(axis=1))
        self.rotation, self.view = rotation, view
        self.rgb = np.full((len(cloud), 3), 150, np.uint8) if cloud.rgb is None else cloud.rgb
        self.xyz = cloud.xyz[self.rows].astype(np.float64) @ rotation.T
        normal = point_normals(self.xyz, grain)
        self.raster = rasterize(self.xyz, normal, view, disc)

    def photo(self) -> Image.Image:
        """The points in their own colours."""
        return self.raster.paint(self.rgb[self.rows], shade=PHOTO_SHADE)

    def colored(self, colors: U8) -> Image.Image:
        """The points in given colours, uint8 [N, 3]."""
        return self.raster.paint(colors[self.rows])

    def classes(self, class_id: I32, classes: Sequence[ClassInfo]) -> Image.Image:
        """The points by class, int32 [N]."""
        return self.colored(class_colors(classes)[class_id])

    def objects(self, instance: I32, truth: I32 | None = None) -> Image.Image:
        """The points by object, int32 [N]; in the colours of the truth where it is given."""
        shown = None if truth is None else truth[self.rows]
        return self.raster.paint(object_colors(instance[self.rows], self.xyz, shown))

    def supervoxels(self, prepared: Prepared) -> Image.Image:
        """The points by super-voxel, neighbours told apart."""
        colors = neighbour_colors(touching(prepared))[prepared.supervoxel]
        return self.colored(prepared.to_points(colors, fill=0))

    def labelled(self, class_id: I32, classes: Sequence[ClassInfo]) -> Image.Image:
        """Classes where they are known, a faded photo elsewhere."""
        pale = PALE + FADED * (self.rgb.mean(axis=1, keepdims=True) - PALE)
        colors = np.where(class_id[:, None] >= 0, class_colors(classes)[class_id], pale)
        return self.colored(colors.astype(np.uint8))

    def with_pins(
        self, picture: Image.Image, clicks: Sequence[Click], classes: Sequence[ClassInfo]
    ) -> Image.Image:
        """A pin of its class's colour at every click on a point that is not cut away."""
        known = [click for click in clicks if click.position is not None]
        places = np.array([click.position for click in known], np.float64).reshape(-1, 3)
        shown = cKDTree(self.xyz).query(places @ self.rotation.T)[0] < PIN_REACH
        colors = {each.name: each.color for each in classes}
        chosen = [colors[known[row].class_name or ""] for row in np.flatnonzero(shown)]
        return draw_pins(picture, places[shown] @ self.rotation.T, chosen, self.view)

    def with_boxes(self, picture: Image.Image, boxes: Sequence[dict[str, Any]]) -> Image.Image:
        """The boxes that the node published, each with its name."""
        return draw_boxes(picture, boxes, self.rotation, self.view)


def scene_canvas(scene: Scene, cloud: Cloud, semantic: I32, showroom: bool) -> Canvas:
    """A scene from where most of it shows."""
    up = estimate_up(cloud.xyz) if scene.meta.up is None else np.array(scene.meta.up)
    rotation = rotation_to_z(up)
    finite = np.asarray(np.isfinite(cloud.xyz).all(axis=1))
    xyz = np.where(finite[:, None], cloud.xyz, 0).astype(np.float64) @ rotation.T
    if showroom:
        shell = np.isin(
            semantic, [row for row, known in enumerate(scene.classes) if known.name in SHELL]
        )
        thing = np.array([known.kind == "thing" for known in scene.classes] + [False])[semantic]
        view, inside = room_view(
            xyz[finite],
            point_normals(xyz[finite], ROOM_GRAIN),
            shell[finite],
            (thing & ~shell)[finite],
            SIZE,
        )
        keep = finite.copy()
        keep[finite] = inside
        return Canvas(cloud, rotation, view, keep, ROOM_DISC, ROOM_GRAIN)
    # From the camera, which is at the origin: from anywhere else its shadows are holes.
    back = -np.median(xyz[finite], axis=0)
    view = fitted(xyz[finite], back / np.linalg.norm(back), VIEW_ANGLE, SIZE)
    return Canvas(cloud, rotation, view, finite, VIEW_DISC, VIEW_GRAIN)


def camera_canvas(cloud: Cloud, shape: tuple[int, int]) -> Canvas:
    """An organised cloud in its optical frame as its own camera sees it."""
    finite = np.asarray(np.isfinite(cloud.xyz).all(axis=1))
    height, width = shape
    x, _, z = cloud.xyz[finite].astype(np.float64).T
    column = np.flatnonzero(finite) % width - (width - 1) / 2
    aside = np.abs(x) > 0.1 * z  # the middle says little about the focal length
    focal = float(np.median(column[aside] * z[aside] / x[aside])) if aside.any() else width
    angle = 2 * np.rad2deg(np.arctan(width / 2 / focal))
    level = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # as if it looked along the floor
    view = View(np.zeros(3), np.array([0, 1.0, 0]), np.array([0, 0, 1.0]), angle, (width, height))
    away = float(np.median(z))
    return Canvas(cloud, level, view, finite, away / focal, CAMERA_GRAIN * away)


def point_normals(xyz: F64, voxel: float) -> F64:
    """A normal for every point from the voxels around it: float64 [N, 3]."""
    grid = voxelize(xyz, voxel)
    normal = voxel_normals(grid.coords, mean_per_voxel(xyz - grid.origin, grid))
    return normal[grid.voxel_of_point].astype(np.float64)
