"""What `otoc import` does with a source: one branch a kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otoc_ros.site.importer import Imported
    from otoc_ros.site.scene import Split, Vector
    from otoc_ros.site.site import Site


@dataclass(frozen=True)
class Wanted:
    """What a person asked for; `name` empty: the source's own."""

    name: str
    split: Split
    up: Vector | None
    topics: tuple[str, ...]
    every: float
    fuse: Any  # tf, odometry or none
    size: float | None


def scans_of(site: Site, source: Path, wanted: Wanted) -> Iterator[Imported]:
    """Import a source, scene by scene.

    Raises:
        InputError: it cannot be read, or an option does not apply to it.
    """
    from otoc_ros.cli.console import track
    from otoc_ros.core.errors import InputError
    from otoc_ros.site.importer import import_cloud
    from otoc_ros.site.merging import merge_site
    from otoc_ros.site.readers.bag import is_bag
    from otoc_ros.site.site import Site

    name = wanted.name or source.resolve().stem.replace(" ", "_")
    if is_bag(source):
        yield from _scans_of_bag(site, source, name, wanted)
        return
    of_bags = [
        option
        for option, given in (
            ("--topic", wanted.topics),
            ("--every", wanted.every),
            ("--fuse", wanted.fuse != "none"),
            ("--size", wanted.size),
        )
        if given
    ]
    if (source / "site.yaml").exists():
        if wanted.name or wanted.up or of_bags:
            raise InputError("options but SITE and SOURCE do not apply to another site")
        yield from track(merge_site(site, Site.open(source)), "merging")
    elif source.is_dir():
        yield from _scans_of_folder(site, source, name, wanted)
    elif of_bags:
        raise InputError(f"{', '.join(of_bags)} are for bags, and {source} is none")
    else:
        yield import_cloud(site, source, name, split=wanted.split, up=wanted.up)


def _scans_of_folder(site: Site, folder: Path, name: str, wanted: Wanted) -> Iterator[Imported]:
    from otoc_ros.cli.console import track
    from otoc_ros.core.errors import InputError
    from otoc_ros.site.datasets import labelled_scans
    from otoc_ros.site.datasets.rgbd import is_rgbd, posed_images
    from otoc_ros.site.datasets.semantic_kitti import is_semantic_kitti, posed_turns
    from otoc_ros.site.importer import SCENE_SIZE, import_labelled, import_posed_folder

    if wanted.topics or wanted.every or wanted.fuse == "odometry":
        raise InputError("--topic, --every and --fuse odometry are for bags")
    if is_rgbd(folder) or (is_semantic_kitti(folder) and wanted.fuse == "tf"):
        views = posed_images(folder) if is_rgbd(folder) else posed_turns(folder)
        yield from import_posed_folder(
            site,
            folder,
            name,
            track(views, f"fusing {folder.name}"),
            split=wanted.split,
            up=wanted.up,
            size=wanted.size or SCENE_SIZE,
        )
        return
    scans = labelled_scans(folder)
    if scans is None:
        raise InputError(
            f"{folder} is neither a rosbag2 (metadata.yaml), nor a site (site.yaml), nor a folder "
            "of TUM, Redwood, ScanNet, S3DIS or SemanticKITTI; see docs/import.md"
        )
    if wanted.up or wanted.size or wanted.fuse != "none":
        raise InputError(f"--up, --size and --fuse do not apply to {folder}: z is up in it")
    scenes = import_labelled(site, scans, wanted.name, split=wanted.split)
    yield from track(scenes, f"importing {folder.name}")


def _scans_of_bag(site: Site, bag: Path, name: str, wanted: Wanted) -> Iterator[Imported]:
    from otoc_ros.cli.console import track
    from otoc_ros.core.errors import InputError
    from otoc_ros.site.importer import SCENE_SIZE, import_bag, import_drive
    from otoc_ros.site.readers.bag import choose_topic, cloud_topics

    known = cloud_topics(bag)
    topics = [choose_topic(bag, known, topic) for topic in wanted.topics or (None,)]
    total = None if wanted.every else sum(topic.messages for topic in topics)
    if wanted.fuse != "none":
        yield from import_drive(
            site,
            bag,
            name,
            poses=wanted.fuse,
            topics=[topic.name for topic in topics],
            every=wanted.every,
            split=wanted.split,
            up=wanted.up,
            size=wanted.size or SCENE_SIZE,
            progress=lambda views: track(views, f"fusing {bag.name}", total),
        )
        return
    if len(topics) > 1 or wanted.size:
        raise InputError("several --topic and --size need --fuse tf or --fuse odometry")
    scans = import_bag(
        site,
        bag,
        name,
        split=wanted.split,
        up=wanted.up,
        topic=topics[0].name,
        every=wanted.every,
    )
    yield from track(scans, f"importing {topics[0].name}", total)
