"""The pictures of the report: one scene, one viewpoint, many colourings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.spatial import cKDTree

from offline_training.demo.palette import class_colors, neighbour_colors, object_colors
from offline_training.demo.splat import F64, View, rasterize
from offline_training.demo.viewpoint import fitted, room_view
from offline_training.labels import touching
from otoc_ros.core.cloud import Cloud, estimate_up, rotation_to_z
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
VIEW_ANGLE = 30.0  # degrees of a picture of a single view
PIN_REACH = 0.03  # metres from a click to a point that is shown
PHOTO_SHADE = 0.55  # a colour photo has light of its own
FADED = 0.28  # of the colour that remains where nothing is said
OVERLAY = 3  # drawings are made this much larger, which smooths them

Draw = Callable[[ImageDraw.ImageDraw, float], None]


class Canvas:
    """A cloud seen from one place.

    Args:
        cloud: N points; those that are not finite are never seen.
        rotation: float [3, 3], aligned = xyz @ rotation.T, z up.
        view: in the aligned frame; None: a camera's view from where the camera stood.
        keep: bool [N], what is not cut away.
        disc: metres, radius of a point.
    """

    def __init__(self, cloud: Cloud, rotation: F64, view: View, keep: Mask, disc: float) -> None:
        self.rows = np.flatnonzero(keep & np.isfinite(cloud.xyz).all(axis=1))
        self.rotation, self.view = rotation, view
        self.rgb = np.full((len(cloud), 3), 150, np.uint8) if cloud.rgb is None else cloud.rgb
        self.xyz = cloud.xyz[self.rows].astype(np.float64) @ rotation.T
        normal = point_normals(self.xyz, 2.5 * disc)
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
        return self.colored(object_colors(instance, truth))

    def supervoxels(self, prepared: Prepared) -> Image.Image:
        """The points by super-voxel, neighbours told apart."""
        colors = neighbour_colors(touching(prepared))[prepared.supervoxel]
        return self.colored(prepared.to_points(colors, fill=0))

    def labelled(self, class_id: I32, classes: Sequence[ClassInfo]) -> Image.Image:
        """Classes where they are known, a faded photo elsewhere."""
        grey = self.rgb.mean(axis=1, keepdims=True)
        faded = 255 - FADED * (255 - (0.3 * self.rgb + 0.7 * grey))
        colors = np.where(class_id[:, None] >= 0, class_colors(classes)[class_id], faded * 0.94)
        return self.colored(colors.astype(np.uint8))

    def with_pins(
        self, picture: Image.Image, clicks: Sequence[Click], classes: Sequence[ClassInfo]
    ) -> Image.Image:
        """A pin of its class's colour at every click on a point that is not cut away."""
        known = [click for click in clicks if click.position is not None]
        places = np.array([click.position for click in known], np.float64).reshape(-1, 3)
        shown = cKDTree(self.xyz).query(places @ self.rotation.T)[0] < PIN_REACH
        pixels, depth = self.view.project(places[shown] @ self.rotation.T)
        names = [known[row].class_name for row in np.flatnonzero(shown)]
        colors = {known.name: known.color for known in classes}

        def draw(on: ImageDraw.ImageDraw, scale: float) -> None:
            for row in np.argsort(-depth):
                x, y = pixels[row] * scale
                _pin(on, x, y, scale, colors[names[row] or ""])

        return overlay(picture, draw)

    def with_boxes(
        self, picture: Image.Image, boxes: Sequence[dict[str, object]], names: bool = True
    ) -> Image.Image:
        """The boxes that the node published, each with its name."""

        def draw(on: ImageDraw.ImageDraw, scale: float) -> None:
            font = ImageFont.load_default(11 * scale)
            tags = []
            for box in boxes:
                ends, depth = self.view.project(np.array(box["lines"]) @ self.rotation.T)
                if (depth <= 0.1).any():
                    continue
                color = tuple(round(255 * part) for part in box["color"])  # type: ignore[attr-defined]
                for a, b in (ends.reshape(-1, 2, 2) * scale).tolist():
                    on.line([tuple(a), tuple(b)], fill=(20, 22, 26, 160), width=round(3.2 * scale))
                for a, b in (ends.reshape(-1, 2, 2) * scale).tolist():
                    on.line([tuple(a), tuple(b)], fill=(*color, 255), width=round(1.6 * scale))
                tags.append((ends.min(0) * scale, str(box["text"]), color))
            for (x, y), text, color in tags if names else ():
                left, top, right, bottom = on.textbbox((x, y), text, font=font)
                pad = 3 * scale
                lift = bottom - top + 2 * pad
                y = max(y, lift)
                on.rounded_rectangle(
                    (left - pad, y - lift, right + pad, y), radius=pad, fill=(*color, 235)
                )
                bright = np.dot(color, (0.299, 0.587, 0.114)) > 140
                ink = (20, 22, 26, 255) if bright else (255, 255, 255, 255)
                on.text((x, y - lift / 2), text, fill=ink, font=font, anchor="lm")

        return overlay(picture, draw)


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
            point_normals(xyz[finite], 0.04),
            shell[finite],
            (thing & ~shell)[finite],
            SIZE,
        )
        keep = finite.copy()
        keep[finite] = inside
        return Canvas(cloud, rotation, view, keep, ROOM_DISC)
    # From the camera, which is at the origin: from anywhere else its shadows are holes.
    back = -np.median(xyz[finite], axis=0)
    view = fitted(xyz[finite], back / np.linalg.norm(back), VIEW_ANGLE, SIZE)
    return Canvas(cloud, rotation, view, finite, VIEW_DISC)


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
    return Canvas(cloud, level, view, finite, VIEW_DISC)


def point_normals(xyz: F64, voxel: float) -> F64:
    """A normal for every point from the voxels around it: float64 [N, 3]."""
    grid = voxelize(xyz, voxel)
    normal = voxel_normals(grid.coords, mean_per_voxel(xyz - grid.origin, grid))
    return normal[grid.voxel_of_point].astype(np.float64)


def overlay(picture: Image.Image, draw: Draw) -> Image.Image:
    """Draw on a picture with smooth edges."""
    sheet = Image.new("RGBA", (picture.width * OVERLAY, picture.height * OVERLAY), (0, 0, 0, 0))
    draw(ImageDraw.Draw(sheet), OVERLAY)
    return Image.alpha_composite(picture, sheet.resize(picture.size, Image.Resampling.LANCZOS))


def _pin(
    on: ImageDraw.ImageDraw, x: float, y: float, scale: float, color: tuple[int, int, int]
) -> None:
    radius, height = 6.0 * scale, 17 * scale
    ring = 1.6 * scale
    on.ellipse((x - 4 * scale, y - 2 * scale, x + 4 * scale, y + 2 * scale), fill=(0, 0, 0, 110))
    for grow, ink in ((ring, (255, 255, 255, 255)), (0.0, (*color, 255))):
        head = y - height
        wide = (radius + grow) * 0.86
        on.polygon(
            [(x - wide, head + 0.5 * radius), (x + wide, head + 0.5 * radius), (x, y + grow)],
            fill=ink,
        )
        on.ellipse(
            (x - radius - grow, head - radius - grow, x + radius + grow, head + radius + grow),
            fill=ink,
        )
    dot = 2.1 * scale
    on.ellipse((x - dot, y - height - dot, x + dot, y - height + dot), fill=(255, 255, 255, 255))
