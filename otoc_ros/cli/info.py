"""What is in a site, a scene, a bundle, a cloud or a bag: `otoc info PATH`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from otoc_ros.site.classes import ClassInfo


def info(
    path: Annotated[Path, typer.Argument(help="Site, scene, bundle, cloud file or bag.")],
) -> None:
    """Show what is in a site, a scene, a bundle, a cloud file or a bag."""
    from otoc_ros.core.errors import InputError
    from otoc_ros.site.readers.bag import is_bag

    if not path.exists():
        raise InputError(f"{path} does not exist")
    if (path / "site.yaml").exists():
        _site(path)
    elif (path / "bundle.yaml").exists():
        _bundle(path)
    elif (path / "scene.yaml").exists():
        _scene(path)
    elif is_bag(path):
        _bag(path)
    elif path.is_dir():
        raise InputError(f"{path} is not a site, a scene, a bundle or a bag")
    else:
        _cloud(path)


def _site(path: Path) -> None:
    from otoc_ros.site.site import Site

    site = Site.open(path)
    _print(f"site {site.config.name}, voxels of {site.config.voxel_size * 100:g} cm")
    _classes(site.config.classes)
    rows = []
    clicks = 0
    seconds = 0.0
    for scene in site.scenes():
        made = scene.clicks()
        clicks += len(made)
        seconds += sum(event.seconds for event in scene.events())
        truth = "yes" if (scene.path / "truth.npz").exists() else ""
        size = _size(scene.meta.bounds)
        views = len(scene.meta.views) or ""
        rows.append(
            (scene.name, scene.meta.split, f"{scene.meta.points:,}", size, views, len(made), truth)
        )
    _table("scenes", ("name", "split", "points", "metres", "views", "clicks", "truth"), rows)
    _print(f"{len(rows)} scenes, {clicks} clicks, {seconds / 60:.1f} minutes of a person's time")


def _scene(path: Path) -> None:
    from otoc_ros.site.site import Site

    scene = Site.open(path.resolve().parent.parent).scene(path.resolve().name)
    meta = scene.meta
    up = "estimated" if meta.up is None else " ".join(f"{part + 0.0:g}" for part in meta.up)
    truth = scene.truth()
    _print(f"scene {scene.name} ({meta.split}) from {meta.source or 'an unnamed source'}")
    _print(f"{meta.points:,} points, {_size(meta.bounds)} m, up {up}, {len(meta.views)} raw views")
    clicks = scene.clicks()
    counts = Counter(click.class_name for click in clicks)
    points = Counter[str]()
    if truth is not None:
        for row, known in enumerate(scene.classes):
            points[known.name] = int((truth.semantic == row).sum())
    _table(
        "classes",
        ("class", "clicks", "true points"),
        [
            (known.name, counts[known.name] or "", f"{points[known.name]:,}" if truth else "")
            for known in scene.classes
        ],
    )
    _print(f"{len(clicks)} clicks, {sum(click.seconds for click in clicks) / 60:.1f} minutes")


def _bundle(path: Path) -> None:
    from otoc_ros.site.bundle import open_bundle

    bundle = open_bundle(path)
    about = bundle.info
    _print(f"bundle {about.name}, U-Net of {about.levels} levels, opset {about.opset}")
    _classes(about.classes)
    settings = {**about.preprocessing, **about.propagation, **about.clustering}
    _table("settings", ("name", "value"), [(key, value) for key, value in settings.items()])
    rows = [
        (name, f"{(path / name).stat().st_size / 1e6:.2f}", digest[:16])
        for name, digest in about.files.items()
    ]
    _table("files, all checked", ("file", "MB", "sha256"), rows)


def _bag(path: Path) -> None:
    from otoc_ros.site.readers.bag import all_topics

    rows = [(t.name, t.type, t.messages, f"{t.rate:.2f}") for t in all_topics(path)]
    _table("topics", ("topic", "type", "messages", "Hz"), rows)


def _cloud(path: Path) -> None:
    import numpy as np

    from otoc_ros.site.readers import read_cloud_and_truth

    cloud, truth = read_cloud_and_truth(path)
    finite = cloud.xyz[np.isfinite(cloud.xyz).all(axis=1)]
    _print(f"{len(cloud):,} points, {len(finite):,} of them finite")
    if len(finite):
        low, high = finite.min(0), finite.max(0)
        rows = [(axis, f"{low[i]:.3f}", f"{high[i]:.3f}") for i, axis in enumerate("xyz")]
        _table("extent in metres", ("axis", "from", "to"), rows)
    _print(f"colour: {'yes' if cloud.rgb is not None else 'no'}")
    _print(f"normals: {'yes' if cloud.normal is not None else 'no'}")
    if truth is not None:
        classes, objects = (
            len(np.unique(values[values >= least]))
            for values, least in ((truth.semantic, 0), (truth.instance, 1))
        )
        _print(f"truth: {classes} classes, {objects} objects")


def _classes(classes: Sequence[ClassInfo]) -> None:
    from rich.text import Text

    rows = [
        (row, known.name, known.kind, Text("███", style="#{:02x}{:02x}{:02x}".format(*known.color)))
        for row, known in enumerate(classes)
    ]
    _table("classes", ("id", "name", "kind", "colour"), rows)


def _size(bounds: Any) -> str:
    return " × ".join(f"{high - low:.1f}" for low, high in zip(*bounds, strict=True))


def _print(line: str) -> None:
    from otoc_ros.cli.console import out

    out.print(line, highlight=False, markup=False, soft_wrap=True)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from otoc_ros.cli.console import out

    table = Table(title=title, title_justify="left", header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number > 0, overflow="fold")  # names are shown whole
    for row in rows:
        # As text: a name in square brackets is not markup.
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    out.print(table)
