"""The real tabletop views as a site without clicks."""

from __future__ import annotations

from pathlib import Path

from offline_training.demo.recordings import CLASSES, VAL_FRAMES, VOXEL, read_view
from otoc_ros.site.site import Site

VIEWS = 45


def tabletop_site(recordings: Path, cache: Path) -> Site:
    """Views 33 to 44, of set-ups and objects of their own, are split val."""
    path = cache / "tabletop-views"
    if (path / "site.yaml").exists() and len(Site.open(path).scenes()) == VIEWS:
        return Site.open(path)
    site = Site.create(path, "tabletop", CLASSES, VOXEL)
    for number in range(VIEWS):
        cloud, truth = read_view(Path(recordings) / "tabletop" / f"learn{number}.npz")
        split = "val" if number in VAL_FRAMES else "train"
        site.add_scene(f"learn{number:02d}", cloud, split=split, truth=truth)
    return site
