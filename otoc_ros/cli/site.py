"""Commands that make a site and bring scenes and clicks into it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

SitePath = Annotated[Path, typer.Argument(metavar="SITE", help="Folder of the site.")]


class PosesName(str, Enum):
    """Where the poses of a recording's clouds come from."""

    tf = "tf"
    odometry = "odometry"
    none = "none"


class SplitName(str, Enum):
    """What a scene is for."""

    train = "train"
    dev = "dev"
    val = "val"


def create(
    site: SitePath,
    classes: Annotated[
        str, typer.Option(help="Names with their kind (thing if none): wall:stuff,chair,…")
    ],
    voxel_size: Annotated[float, typer.Option(help="Edge of a voxel, metres.")] = 0.05,
    name: Annotated[str, typer.Option(help="Name for people; the folder's if none.")] = "",
) -> None:
    """Make a new, empty site."""
    from otoc_ros.cli.console import out
    from otoc_ros.site.classes import parse_classes
    from otoc_ros.site.site import Site

    made = Site.create(site, name or site.resolve().name, parse_classes(classes), voxel_size)
    out.print(f"{site}: a site of {len(made.config.classes)} classes; next: otoc import {site} …")


def import_source(
    site: SitePath,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", help="Cloud file, rosbag2, data set folder, or another site."
        ),
    ],
    name: Annotated[str, typer.Option(help="Name of the scene; the source's if none.")] = "",
    split: Annotated[SplitName, typer.Option(help="What the scenes are for.")] = SplitName.train,
    up: Annotated[
        str, typer.Option(metavar="AXIS", help="x, -x, y, -y, z or -z; estimated if none.")
    ] = "",
    topic: Annotated[
        list[str] | None,
        typer.Option(help="Topic of clouds, if the bag has several; repeat it for more sensors."),
    ] = None,
    every: Annotated[
        float, typer.Option(min=0.0, help="Least seconds between two clouds of a topic.")
    ] = 0.0,
    fuse: Annotated[
        PosesName, typer.Option(help="Fuse a bag, with poses from /tf or by odometry.")
    ] = PosesName.none,
    size: Annotated[
        float | None,
        typer.Option(min=4.0, help="Metres: larger fused scans are cut; 15 if none."),
    ] = None,
) -> None:
    """Bring scans into a site: cloud files, recordings, data set folders, another site."""
    from otoc_ros.cli.console import out
    from otoc_ros.cli.sources import Wanted, scans_of
    from otoc_ros.core.errors import InputError
    from otoc_ros.site.importer import parse_axis
    from otoc_ros.site.site import Site

    wanted = Wanted(
        name=name,
        split=split.value,
        up=parse_axis(up) if up else None,
        topics=tuple(topic or ()),
        every=every,
        fuse=fuse.value,
        size=size,
    )
    count = 0
    for scan in scans_of(Site.open(site), source, wanted):
        count += 1
        points = f"{scan.points:,} points; " if scan.points else ""
        out.print(f"{scan.scene}: {points}{scan.note}", highlight=False, soft_wrap=True)
    if not count:
        raise InputError(f"{source} holds no scans")


def simulate(
    site: SitePath,
    scenes: Annotated[str, typer.Option(metavar="GLOB", help="Names of the scenes.")] = "*",
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other clicks.")] = 0,
) -> None:
    """Click as a person would in scenes with ground truth: one click an object or surface."""
    from otoc_ros.cli.console import out, track
    from otoc_ros.core.errors import InputError
    from otoc_ros.site.simulate import scene_rng, simulate_clicks
    from otoc_ros.site.site import Site

    opened = Site.open(site)
    chosen = [scene for scene in opened.scenes(scenes) if (scene.path / "truth.npz").exists()]
    if not chosen:
        raise InputError(f"{site} has no scenes with ground truth that match {scenes!r}")
    waiting = [scene for scene in chosen if not scene.events()]
    clicks = 0
    seconds = 0.0
    for scene in track(waiting, "clicking"):
        made = simulate_clicks(scene, opened.config, scene_rng(seed, scene.name))
        clicks += scene.append_clicks(made)
        seconds += sum(click.seconds for click in made)
    passed = f"; {len(chosen) - len(waiting)} scenes have clicks already" * (chosen != waiting)
    out.print(
        f"{clicks} clicks in {len(waiting)} scenes, {seconds / 60:.1f} minutes of a person's time"
        f"{passed}",
        highlight=False,
    )


def rooms(
    site: SitePath,
    count: Annotated[int, typer.Option(min=1, help="Number of rooms.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other rooms.")] = 0,
) -> None:
    """Make a site of simulated furnished rooms with ground truth."""
    from offline_training.rooms import make_rooms
    from otoc_ros.cli.console import out, track

    made = make_rooms(site, count, seed, progress=lambda names: track(names, "scanning rooms"))
    out.print(f"{site}: {len(made.scenes())} rooms; next: otoc simulate-clicks {site}")
