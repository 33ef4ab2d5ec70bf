"""The demo without recordings: simulated rooms, and a simulated camera carried through one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.progress import Progress

from offline_training.demo.bag import Organised, stamps, write_bag
from offline_training.demo.material import Material
from offline_training.rooms import camera_clouds, generator_hash, make_rooms, room_seed
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth

VISIT = 1  # the camera comes on another day: other light, loose things moved
VOXEL_SIZE = 0.08  # metres; the minutes of a demo teach more about fewer voxels


def make_site(folder: Path, train: int, val: int, seed: int, progress: Progress) -> Site:
    """A site of simulated rooms; those of val share no furniture family with those of train."""
    return make_rooms(
        folder,
        train + val,
        seed,
        splits={"train": train, "val": val},
        voxel_size=VOXEL_SIZE,
        progress=lambda names: progress.track(names, description="scan rooms"),
    )


def record_visit(path: Path, count: int, seed: int, progress: Progress) -> dict[int, Truth | None]:
    """A bag of a depth camera's way through the first room of train, on another day than it was
    scanned and clicked; the truth of each message by its stamp."""
    frames = camera_clouds(room_seed(seed, "train", 0), "train", visit=VISIT, count=count)
    truth: dict[int, Truth | None] = {}

    def seen() -> Iterator[Organised]:
        tracked = progress.track(frames, total=count, description="record a bag")
        for stamp, frame in zip(stamps(), tracked, strict=False):
            truth[stamp] = Truth(frame.semantic, frame.instance)
            yield frame.cloud, (frame.height, frame.width)

    write_bag(path, seen())
    return truth


def simulated_material(
    folder: Path, train: int, val: int, clouds: int, seed: int, progress: Progress
) -> Material:
    """Rooms in FOLDER/site and a visit of one of them in FOLDER/bag."""
    site = make_site(folder / "site", train, val, seed, progress)
    return Material(
        title="Simulated rooms",
        origin=(
            "All of these data are simulated: rooms of parametric furniture, seen by a simulated "
            "RGB-D camera with the noise and the holes of a real one (generator "
            f"{generator_hash()[:12]}). The rooms that are scored share no piece of furniture with "
            "those that were learnt. The live camera comes back to a room that was learnt, on "
            "another day: in other light, with loose things moved."
        ),
        site=site,
        bag=folder / "bag",
        truth_at=record_visit(folder / "bag", clouds, seed, progress),
        shown=("train-000", "val-000"),
        showroom=True,
    )
