"""A site of boxes on floors, made in seconds: what tests train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from otoc_ros.core.cloud import Cloud
from otoc_ros.site.classes import parse_classes
from otoc_ros.site.simulate import scene_rng, simulate_clicks
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth

CLASSES = "floor:stuff,box,ball"
VOXEL = 0.05


def small_scene(seed: int) -> tuple[Cloud, Truth]:
    """A 4 m floor with three boxes and two balls, 1 cm noise, colours that only partly tell."""
    rng = np.random.default_rng(seed)
    parts = [np.column_stack([rng.uniform(-2, 2, (12_000, 2)), np.zeros(12_000)])]
    colors, semantic = [rng.normal(130, 20, (12_000, 3))], [0]
    places = rng.permutation([(x, y) for x in (-1.2, 0, 1.2) for y in (-1.2, 0, 1.2)])[:5]
    for number, place in enumerate(places):
        is_box = number < 3
        side = rng.normal(size=(2500, 3))
        if is_box:
            side /= np.abs(side).max(axis=1, keepdims=True)
        else:
            side /= np.linalg.norm(side, axis=1, keepdims=True)
        radius = rng.uniform(0.2, 0.35)
        parts.append(side * radius + [*place, radius])
        colors.append(rng.normal(rng.uniform(60, 200, 3), 20, (2500, 3)))
        semantic.append(1 if is_box else 2)
    sizes = [len(part) for part in parts]
    xyz = np.concatenate(parts) + rng.normal(0, 0.005, (sum(sizes), 3))
    rgb = np.concatenate(colors).clip(0, 255)
    truth = Truth(
        np.repeat(np.array(semantic, np.int32), sizes),
        np.repeat(np.arange(6, dtype=np.int32), sizes),
    )
    return Cloud(xyz.astype(np.float32), rgb.astype(np.uint8)), truth


def make_small_site(path: Path, train: int = 4, val: int = 2) -> Site:
    """Training scenes with one simulated click per object, and validation scenes."""
    site = Site.create(path, "small", parse_classes(CLASSES), VOXEL)
    for number in range(train + val):
        cloud, truth = small_scene(number)
        split = "train" if number < train else "val"
        scene = site.add_scene(f"{split}{number}", cloud, split=split, up=(0, 0, 1), truth=truth)
        if split == "train":
            scene.append_clicks(simulate_clicks(scene, site.config, scene_rng(0, scene.name)))
    return site
