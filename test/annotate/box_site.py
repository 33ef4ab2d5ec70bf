"""A site with one box on a floor, for the labelling app."""

from pathlib import Path

import numpy as np

from otoc_ros.core.cloud import Cloud
from otoc_ros.site.classes import parse_classes
from otoc_ros.site.site import Site

SIDE = 0.8  # metres, of the box
CENTRE = np.array([100.0, 50.0, 3.0])  # far from the origin, as in a map


def make_box_site(path: Path) -> Site:
    """Scenes `a` and `b`: a red box amid a grey floor of 5 m; classes floor (stuff), box, ball."""
    made = Site.create(path, "box", parse_classes("floor:stuff,box,ball"), 0.05)
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(-2.5, 2.5, (55_000, 2)), np.zeros(55_000)])
    side = rng.uniform(-1, 1, (12_000, 3))
    side /= np.abs(side).max(axis=1, keepdims=True)
    box = side * SIDE / 2 + [0, 0, SIDE / 2]
    outside = floor[np.abs(floor[:, :2]).max(1) > SIDE / 2]
    xyz = np.concatenate([outside, box]) + CENTRE
    rgb = np.repeat(np.array([[120, 120, 120], [200, 40, 40]], np.uint8), [len(outside), 12_000], 0)
    for name in ("a", "b"):
        made.add_scene(name, Cloud(xyz.astype(np.float32), rgb), up=(0, 0, 1))
    return made
