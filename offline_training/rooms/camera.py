"""A simulated RGB-D camera with the faults of a real one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

from offline_training.rooms.appearance import GLOSS, INFRARED, smooth_noise
from offline_training.rooms.raycast import Scene
from otoc_ros.core.cloud import Cloud

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """Pinhole camera; the noise model is that of a structured-light sensor.

    Axial noise: Nguyen, Izadi, Lovell, "Modeling Kinect Sensor Noise for Improved 3D Reconstruction
    and Tracking" (3DIMPVT 2012), section 3: sigma_z = 0.0012 + 0.0019 (z - 0.4)² metres.
    Quantisation: Khoshelham, Elberink, "Accuracy and Resolution of Kinect Depth Data" (Sensors
    2012), section 3: a step of 2.85e-3 z² metres.
    """

    width: int = 320
    height: int = 240
    focal: float = 0.8  # of the width: 64 degrees wide
    nearest: float = 0.35  # metres
    farthest: float = 6.5
    weakest: float = 0.0035  # infrared · cosine / range²: the weakest echo that still gives a depth

    def rays(self, rng: np.random.Generator) -> tuple[Vector, Vector]:
        """Directions of the pixels [H·W, 3] with z = 1: where they are, and where they look.

        The two differ by a fraction of a pixel: the sensor's lateral noise.
        """
        f = self.focal * self.width
        v, u = np.mgrid[: self.height, : self.width].reshape(2, -1).astype(float)
        x, y = (u - self.width / 2 + 0.5) / f, (v - self.height / 2 + 0.5) / f
        blur = rng.normal(0, 0.4 / f, (2, len(x)))
        ones = np.ones_like(x)
        return np.column_stack([x, y, ones]), np.column_stack([x + blur[0], y + blur[1], ones])


@dataclass(frozen=True, eq=False)
class Frame:
    """One image: an organised cloud in the optical frame (row-major, NaN where depth is missing).

    semantic, instance: int32 [H·W], -1 and 0 where depth is missing. pose: T_room_camera [4, 4] as
    the robot believes it to be.
    """

    cloud: Cloud
    semantic: NDArray[np.int32]
    instance: NDArray[np.int32]
    pose: Vector
    width: int
    height: int


class Shutter:
    """Takes pictures in a row: exposure lags behind the light and the pose drifts slowly."""

    def __init__(self, scene: Scene, camera: Camera, rng: np.random.Generator) -> None:
        self.scene, self.camera, self.rng = scene, camera, rng
        self._gain: float | None = None
        self._drift: Vector = np.zeros(6)  # rotation vector, translation

    def take(self, pose: Vector) -> Frame:
        """What the camera sees from a true pose T_room_camera."""
        camera, rng = self.camera, self.rng
        pixel, looking = camera.rays(rng)
        stretch = np.linalg.norm(looking, axis=1)
        direction = (looking / stretch[:, None]) @ pose[:3, :3].T
        origin = np.broadcast_to(pose[:3, 3], direction.shape)
        hits = self.scene.cast(
            np.ascontiguousarray(origin, np.float32), np.ascontiguousarray(direction, np.float32)
        )
        depth = np.full(len(pixel), np.nan)
        depth[hits.ray] = hits.distance / stretch[hits.ray]
        row = self.scene.materials[hits.row]
        coarse = smooth_noise(hits.point, 0.07, 1)
        echo = row[:, INFRARED] * hits.cosine / np.maximum(hits.distance, 0.3) ** 2
        echo *= 0.4 + 1.2 * coarse * rng.random(len(coarse), np.float32)
        shiny = row[:, GLOSS] * (0.35 + 0.65 * hits.cosine**4) > 0.25 + 0.6 * coarse
        depth[hits.ray[(echo < camera.weakest) | shiny]] = np.nan
        depth = self._measure(depth.reshape(camera.height, camera.width)).ravel()

        rgb = np.zeros((len(pixel), 3), np.uint8)
        rgb[hits.ray] = self._expose(self.scene.color(hits), pixel[hits.ray])
        semantic = np.full(len(pixel), -1, np.int32)
        instance = np.zeros(len(pixel), np.int32)
        semantic[hits.ray] = self.scene.semantic[hits.owner]
        instance[hits.ray] = self.scene.instance[hits.owner]
        lost = ~np.isfinite(depth)
        semantic[lost], instance[lost] = -1, 0
        cloud = Cloud((pixel * depth[:, None]).astype(np.float32), rgb)
        return Frame(cloud, semantic, instance, self._believed(pose), camera.width, camera.height)

    def _measure(self, depth: Vector) -> Vector:
        """Noise, quantisation and lost edges of a depth image [H, W]."""
        rng = self.rng
        known = np.isfinite(depth)
        filled = np.where(known, depth, 0.0)
        # Block matching correlates the noise of neighbours: half of its power is smooth.
        smooth = gaussian_filter(rng.normal(size=depth.shape), 1.5)
        noise = (smooth / smooth.std() + rng.normal(size=depth.shape)) / np.sqrt(2)
        sigma = 0.0012 + 0.0019 * (filled - 0.4) ** 2
        edge = maximum_filter(filled, 3) - minimum_filter(np.where(known, depth, 99.0), 3)
        edge = edge > 0.04 + 0.03 * filled
        chance = rng.random(depth.shape)
        measured = filled + sigma * noise
        # At a jump some pixels are lost and a few hang between the two surfaces.
        between = edge & (chance > 0.95)
        near = minimum_filter(np.where(known, depth, 99.0), 3)
        far = np.minimum(maximum_filter(filled, 3), near + 0.3)
        measured = np.where(between, near + (far - near) * rng.random(depth.shape), measured)
        step = 1 / 2.85e-3
        measured = step / np.maximum(np.round(step / np.maximum(measured, 0.05)), 1)
        lost = (edge & (chance < 0.4)) | (measured < self.camera.nearest)
        lost |= (measured > self.camera.farthest) | ~known
        return np.where(lost, np.nan, measured)

    def _expose(self, linear: NDArray[np.float32], pixel: Vector) -> NDArray[np.uint8]:
        """Linear light [N, 3] as the camera's 8-bit colours."""
        rng = self.rng
        if len(linear) == 0:
            return np.zeros((0, 3), np.uint8)
        wanted = 0.25 / max(float(np.median(linear)), 0.01)
        wanted = float(np.clip(wanted, 0.4, 6.0)) ** 0.75
        last = wanted if self._gain is None else self._gain
        self._gain = last + 0.6 * (wanted - last)
        balance = self._gain * np.exp(rng.normal(0, 0.05) + rng.normal(0, 0.03, 3))
        vignette = 1 - 0.35 * (pixel[:, :2] ** 2).sum(1)
        light = linear * balance.astype(np.float32) * vignette[:, None].astype(np.float32)
        noise = rng.standard_normal(light.shape, np.float32)
        light += noise * np.sqrt(4e-4 * np.maximum(light, 0) + 2e-5).astype(np.float32)
        bright: NDArray[np.uint8] = (np.clip(light, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)
        return bright

    def _believed(self, pose: Vector) -> Vector:
        """The true pose with the drift that has gathered so far (about 1 cm and 0.2 degrees)."""
        self._drift = 0.97 * self._drift + self.rng.normal(0, [6e-4] * 3 + [2e-3] * 3)
        believed = np.eye(4)
        a, b, c = self._drift[:3]
        small = np.array([[1, -c, b], [c, 1, -a], [-b, a, 1]])
        u, _, vt = np.linalg.svd(small @ pose[:3, :3])  # the nearest rotation
        believed[:3, :3] = u @ vt
        believed[:3, 3] = pose[:3, 3] + self._drift[3:]
        return believed
