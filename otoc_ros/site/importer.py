"""Bringing scans into a site: cloud files, recordings, folders of data sets.

Importing the same source twice changes nothing, so an interrupted import is simply started again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.cloud import Cloud, estimate_up
from otoc_ros.core.errors import InputError
from otoc_ros.site.datasets.labelled import LabelledScan
from otoc_ros.site.files import atomic_write, writing
from otoc_ros.site.fusing.drive import UpOf, fuse_views
from otoc_ros.site.fusing.upright import Up
from otoc_ros.site.fusing.views import Break, PosedView
from otoc_ros.site.readers import read_cloud_and_truth
from otoc_ros.site.scene import Scene, Split, Vector
from otoc_ros.site.site import Site, scan_id
from otoc_ros.site.truth import Truth

SPACING = 0.4  # voxels of the site between fused points: training keeps no more
FINEST = 0.01  # metres; depth cameras measure nothing finer
SCENE_SIZE = 15.0  # metres that a person overlooks

Poses = Literal["tf", "odometry"]
Progress = Callable[[Iterator[PosedView | Break]], Iterable[PosedView | Break]]


class Imported(NamedTuple):
    """What became of one scan: its scene's name, number of points, and a word for people."""

    scene: str
    points: int
    note: str


def import_cloud(
    site: Site, path: Path, name: str, *, split: Split = "train", up: Vector | None = None
) -> Imported:
    """Add a PLY, PCD or NPZ file as one scene; points that are not finite are left out.

    Raises:
        InputError: the file cannot be read, has no finite point, its truth does not fit the site's
            classes, or another scan has the name.
    """
    cloud, truth = read_cloud_and_truth(path)
    if truth is not None:
        truth.check(len(cloud), len(site.config.classes), str(path))
    imported = _add(site, name, cloud, truth, split, up, path.name)
    if imported.points == 0:
        raise InputError(f"{path} has no finite point (of {len(cloud)}); record it again")
    direction = Up(np.array(up), "given") if up else Up(estimate_up(cloud.xyz), "estimated")
    shown = _show_up(site.scene(name), cloud, direction)
    return imported._replace(note=f"{imported.note}; {shown}")


def import_bag(
    site: Site,
    path: Path,
    name: str,
    *,
    split: Split = "train",
    up: Vector | None = None,
    topic: str | None = None,
    every: float = 0.0,
) -> Iterator[Imported]:
    """Add the clouds of one topic, one scene a message: NAME_0000, NAME_0001 …

    Args:
        topic: None: the only topic of clouds.
        every: least seconds from one cloud to the next.

    Raises:
        InputError: the bag cannot be read, has no such topic, or another scan has a scene's name.
    """
    # Imported here: a robot that opens bundles needs no bag library.
    from otoc_ros.site.readers.bag import read_bag

    for number, (stamp, frame, cloud) in enumerate(read_bag(path, topic, every)):
        source = f"{path.name} at {stamp / 1e9:.3f} s in {frame or 'an unnamed frame'}"
        yield _add(site, f"{name}_{number:04d}", cloud, None, split, up, source)


def import_drive(
    site: Site,
    path: Path,
    name: str,
    *,
    poses: Poses,
    topics: Sequence[str],
    every: float = 0.0,
    split: Split = "train",
    up: Vector | None = None,
    size: float = SCENE_SIZE,
    progress: Progress = iter,
) -> Iterator[Imported]:
    """Fuse the clouds of a bag into few scenes: NAME_00, NAME_01 …

    Scenes keep some raw views with their poses. Points lie `SPACING` of the site's voxel apart.

    Args:
        poses: "tf": from /tf and /tf_static; "odometry": by registering the clouds of `topics[0]`.
        topics: one or more, of clouds.
        every: least seconds between two clouds of a topic.
        up: in the frame map, odom or whatever the clouds are fused in.
        size: metres, the largest extent of a scene on the ground.
        progress: wraps the stream of views.

    Raises:
        InputError: the bag cannot be read (on), no cloud has a pose, or another scan has a scene's
            name; the scenes yielded before are in the site.
    """
    # Imported here: a robot that opens bundles needs no bag library.
    from otoc_ros.site.fusing.recording import Recording

    recording = Recording(path, topics, every, poses)
    given = None if up is None else Up(np.array(up), "given")
    yield from _add_fused(
        site,
        name,
        progress(recording.views()),
        up_of=lambda cloud: given or recording.up(cloud),
        split=split,
        size=size,
        source=f"{path.name}, {' '.join(topics)}",
    )
    if said := recording.summary():
        yield Imported(name, 0, said)


def import_posed_folder(
    site: Site,
    folder: Path,
    name: str,
    views: Iterable[PosedView | Break],
    *,
    split: Split = "train",
    up: Vector | None = None,
    size: float = SCENE_SIZE,
) -> Iterator[Imported]:
    """Fuse the views of a data set's folder, as `import_drive` does with a bag.

    Up is estimated from the fused surfaces unless it is given.
    """
    given = None if up is None else Up(np.array(up), "given")

    def up_of(cloud: Cloud) -> Up:
        return given or Up(estimate_up(cloud.xyz), "estimated from the surfaces")

    yield from _add_fused(
        site, name, views, up_of=up_of, split=split, size=size, source=folder.resolve().name
    )


def import_labelled(
    site: Site, scans: Iterable[LabelledScan], name: str = "", *, split: Split = "train"
) -> Iterator[Imported]:
    """Add the scans of a data set with their labels as truth, as far as the site has the classes.

    Raises:
        InputError: a scan cannot be read, another scan has its name, or the site has none of the
            labelled classes.
    """
    up = (0.0, 0.0, 1.0)
    for scan in scans:
        truth, lacking = scan.truth(site.config.classes)
        if truth is not None and lacking and (truth.semantic < 0).all():
            raise InputError(
                f"{scan.name} has labels of {', '.join(lacking)} and {site.path} none of these "
                "classes; add them to its site.yaml"
            )
        called = "_".join(filter(None, (name, scan.name)))
        done = _add(site, called, scan.cloud, truth, split, up, scan.name)
        note = f"; unknown to the site: {', '.join(lacking)}" if lacking else ""
        yield done._replace(note=done.note + note)


def parse_axis(text: str) -> Vector:
    """The direction of `x`, `-x`, `+y` …; InputError for anything else."""
    known: dict[str, Vector] = {
        "x": (1.0, 0.0, 0.0),
        "-x": (-1.0, 0.0, 0.0),
        "y": (0.0, 1.0, 0.0),
        "-y": (0.0, -1.0, 0.0),
        "z": (0.0, 0.0, 1.0),
        "-z": (0.0, 0.0, -1.0),
    }
    axis = text.strip().lower().removeprefix("+")
    if axis not in known:
        raise InputError(f"axis {text!r} is not known; give one of {', '.join(known)}")
    return known[axis]


def _add(
    site: Site,
    name: str,
    cloud: Cloud,
    truth: Truth | None,
    split: Split,
    up: Vector | None,
    source: str,
    views: Sequence[tuple[Cloud, NDArray[Any]]] = (),
) -> Imported:
    finite = np.flatnonzero(np.isfinite(cloud.xyz).all(axis=1))
    left_out = len(cloud) - len(finite)
    if not len(finite):
        return Imported(name, 0, "left out: no finite point")
    if left_out:
        cloud = cloud.take(finite)
        truth = None if truth is None else truth.take(finite)
    del finite  # as large as a third of the cloud
    if (site.path / "scenes" / name).exists():
        if site.scene(name).meta.id == scan_id(cloud):
            return Imported(name, len(cloud), "was there already")
        raise InputError(
            f"site {site.path} has another scan called {name}; choose a name with --name"
        )
    site.add_scene(name, cloud, split=split, up=up, source=source, truth=truth, views=views)
    note = f"new, {left_out:,} missing returns left out" if left_out else "new"
    return Imported(name, len(cloud), note)


def _add_fused(
    site: Site,
    name: str,
    views: Iterable[PosedView | Break],
    *,
    up_of: UpOf,
    split: Split,
    size: float,
    source: str,
) -> Iterator[Imported]:
    edge = max(SPACING * site.config.voxel_size, FINEST)
    with writing(site.path), TemporaryDirectory(prefix=".fusing-", dir=site.path) as aside:
        scans = fuse_views(views, Path(aside), edge=edge, size=size, up_of=up_of)
        for number, scan in enumerate(scans):
            moved = f", less {scan.origin.tolist()} m" if scan.origin.any() else ""
            done = _add(
                site,
                f"{name}_{number:02d}",
                scan.cloud,
                None,
                split,
                _vector(scan.up.vector),
                f"{source}: {scan.fused} views fused{moved}",
                scan.views,
            )
            said = f"{done.note}; {scan.fused} views fused, {len(scan.views)} kept raw"
            shown = _show_up(site.scene(done.scene), scan.cloud, scan.up)
            yield done._replace(note="; ".join(filter(None, (said, shown, scan.note))))


def _show_up(scene: Scene, cloud: Cloud, up: Up) -> str:
    """Draw up.png beside a scan; what to tell about it."""
    told = f"up {np.round(up.vector + 0.0, 2).tolist()}, {up.origin}"
    try:
        from otoc_ros.site.fusing.picture import up_picture

        atomic_write(scene.path / "up.png", up_picture(cloud, up.vector, told))
    except ModuleNotFoundError:
        return f"{told} (pip install 'otoc_ros[import]' for a picture)"
    return f"{told}, see {scene.path / 'up.png'}"


def _vector(up: NDArray[Any]) -> Vector:
    x, y, z = (float(part) for part in up)
    return x, y, z
