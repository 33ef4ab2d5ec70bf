"""Commands that train, export and try out networks."""

from __future__ import annotations

import json
import os
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from otoc_ros.cli.console import bar, out
from otoc_ros.core.errors import InputError

SitePath = Annotated[Path, typer.Argument(metavar="SITE", help="Folder of the site.")]


class PresetName(str, Enum):
    """Size of the networks and length of the training."""

    tiny = "tiny"
    small = "small"
    base = "base"


class Labels(str, Enum):
    """What is learnt from."""

    clicks = "clicks"
    full = "full"


class Propagation(str, Enum):
    """What spreads labels over super-voxels."""

    graph = "graph"
    transformer = "transformer"


class Device(str, Enum):
    """Where the networks are trained."""

    cpu = "cpu"
    cuda = "cuda"


def train(
    site: SitePath,
    preset: Annotated[PresetName, typer.Option(help="Size of networks.")] = PresetName.small,
    labels: Annotated[
        Labels, typer.Option(help="The clicks, or the ground truth of the training scenes.")
    ] = Labels.clicks,
    propagation: Annotated[
        Propagation,
        typer.Option(help="The sparse graph, or the paper's transformer over the prototypes."),
    ] = Propagation.graph,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Rounds instead of the preset's.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimiser steps a round instead of the preset's.")
    ] = None,
    settled: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Where a round changed a smaller share of the labels, the next is the last one.",
        ),
    ] = 0.0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an earlier run stopped.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same result.")] = 0,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="Train the U-Net in half precision; for a GPU.")
    ] = False,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.cpu,
) -> None:
    """Train a site's networks on its clicks, round by round.

    On several GPUs: torchrun --standalone --nproc-per-node N -m otoc_ros.cli train SITE …
    """
    import torch

    from offline_training import parallel
    from offline_training.self_training import Interrupted, train_site
    from offline_training.settings import preset as preset_named
    from otoc_ros.site.site import Site

    if device is Device.cuda and not torch.cuda.is_available():
        raise InputError("--device cuda: PyTorch finds no GPU here; use --device cpu")
    wanted = {
        "labels": labels.value, "seed": seed, "rounds": rounds, "steps": steps, "settled": settled,
        "mixed": mixed,
    }  # fmt: skip
    settings = preset_named(preset.value)
    spread = settings.propagation.model_copy(update={"kind": propagation.value})
    settings = settings.model_copy(
        update={name: value for name, value in wanted.items() if value is not None}
        | {"propagation": spread}
    )
    with bar(quiet=os.environ.get("RANK", "0") != "0") as progress:
        try:
            train_site(
                Site.open(site), settings, torch.device(device.value), progress, resume=resume
            )
        except Interrupted as stopped:
            progress.stop()
            typer.echo(f"otoc: {stopped}", err=True)
            raise typer.Exit(130) from None
    if parallel.rank() == 0:
        _show_rounds(site)


def export(
    site: SitePath,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder of the bundle; SITE/bundle if none."),
    ] = None,
) -> None:
    """Write the trained networks as a bundle of ONNX files for the robot."""
    from offline_training.bundle import export_bundle
    from otoc_ros.site.site import Site

    bundle = export_bundle(Site.open(site), output or site / "bundle")
    size = sum((bundle.path / name).stat().st_size for name in bundle.info.files)
    out.print(f"wrote {bundle.path}: {', '.join(bundle.info.files)}, {size / 1e6:.1f} MB")


def evaluate(
    site: SitePath,
    bundle: Annotated[Path | None, typer.Option(help="Bundle to run; SITE/bundle if none.")] = None,
    scenes: Annotated[
        str | None, typer.Option(help="Scenes by shell pattern; those of split val if none.")
    ] = None,
    without_colour: Annotated[
        bool, typer.Option("--without-colour", help="As for a sensor that sees no colours.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the scores to this file.")
    ] = None,
) -> None:
    """Run a bundle over scenes with ground truth and score it."""
    from offline_training.site_evaluation import evaluate_bundle
    from otoc_ros.site.files import atomic_write
    from otoc_ros.site.site import Site

    opened = Site.open(site)
    chosen = opened.scenes(split="val") if scenes is None else opened.scenes(scenes)
    with bar() as progress:
        result = evaluate_bundle(
            bundle or site / "bundle", opened, chosen, progress, without_colour=without_colour
        )
    _show_scores(result)
    if json_file is not None:
        atomic_write(json_file, json.dumps(result, indent=1).encode())


def predict(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder of the bundle.")],
    cloud: Annotated[
        Path, typer.Argument(metavar="CLOUD", help="PLY, PCD, NPZ, LAS, LAZ or E57 file.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="PLY file to write.")],
    up: Annotated[
        str, typer.Option(metavar="AXIS", help="x, -x, y, -y, z or -z; estimated if none.")
    ] = "",
) -> None:
    """Label one cloud; the PLY has class colours, class, instance and confidence."""
    import numpy as np

    from otoc_ros.core.cloud import Cloud
    from otoc_ros.perception import Perception
    from otoc_ros.site.files import atomic_write
    from otoc_ros.site.importer import parse_axis
    from otoc_ros.site.readers import read_cloud
    from otoc_ros.site.readers.ply import ply_parts

    perception = Perception(bundle)
    read = read_cloud(cloud)
    found = perception(read, np.array(parse_axis(up)) if up else None)
    # The last row, for points of no known class, is grey.
    colors = np.array([known.color for known in perception.info.classes] + [(90, 90, 90)], np.uint8)
    columns = {
        "class_id": found.class_id,
        "instance": found.instance,
        "confidence": found.confidence,
    }
    atomic_write(output, ply_parts(Cloud(read.xyz, colors[found.class_id]), columns))
    names = [known.name for known in perception.info.classes]
    for thing in found.objects:
        out.print(f"{thing.id:4d} {names[thing.class_id]:16s} {thing.score:.2f}")
    out.print(f"wrote {output}: {len(read):,} points, {len(found.objects)} objects")


def _show_rounds(site: Path) -> None:
    from rich.table import Table

    from offline_training.rounds import (
        finished_rounds,
        fitted_confidence,
        round_folder,
        round_metrics,
    )
    from otoc_ros.core.confidence import ConfidenceSettings
    from otoc_ros.site.site import Site

    opened = Site.open(site)
    finished = finished_rounds(opened)
    table = Table(
        "round",
        "seconds",
        "loss",
        "clicked",
        "pseudo labels",
        "super-voxels",
        "changed",
        "temperature",
    )
    for number in range(finished):
        metrics = round_metrics(opened, number)
        table.add_row(
            str(number + 1),
            f"{metrics['seconds']:.0f}",
            f"{metrics['losses'].get('total', float('nan')):.3f}",
            str(metrics["clicked_supervoxels"]),
            str(metrics["pseudo_labels"]),
            str(metrics["supervoxels"]),
            f"{metrics['changed']:.1%}",
            f"{fitted_confidence(opened, number).temperature:.2f}",
        )
    out.print(table)
    out.print(f"curves: {round_folder(opened, finished - 1) / 'curves.png'}")
    if fitted_confidence(opened, finished - 1) == ConfidenceSettings():
        out.print(
            "confidence is as the networks say it, and nothing is unknown to them: "
            "to fit that takes two rounds and six clicks"
        )
    _show_doubts(site)


def _show_doubts(site: Path) -> None:
    """Clicks that look wrong: they were not believed, but nobody took them back."""
    from rich.table import Table

    from offline_training.rounds import doubts_path
    from otoc_ros.site.site import Site

    path = doubts_path(Site.open(site))
    doubted = json.loads(path.read_bytes())
    if not doubted:
        return
    table = Table("scene", "place", "clicked as", "looks like", "probability")
    for click in doubted:
        place = ", ".join(f"{part:.2f}" for part in click["position"])
        table.add_row(
            click["scene"],
            place,
            click["class"],
            click["looks_like"],
            f"{click['probability']:.2f}",
        )
    out.print(table)
    out.print(
        f"clicks that look wrong and were not believed: {len(doubted)}; withdraw them in "
        f"`otoc label`, or accept what is right there once a bundle says it: {path}"
    )


def _show_scores(result: dict[str, Any]) -> None:
    from rich.table import Table

    def shown(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.1f}"

    table = Table("class", "IoU %", "AP50 %", title=f"{result['scenes']} scenes")
    for name, scores in result["classes"].items():
        table.add_row(name, shown(scores["iou"]), shown(scores["ap50"]))
    table.add_section()
    table.add_row("mean", shown(result["miou"]), shown(result["ap50"]))
    out.print(table)
    out.print(f"AP {shown(result['ap'])}, AP25 {shown(result['ap25'])}, PQ {shown(result['pq'])}")
    out.print(
        f"calibration error {shown(result['ece'])} % at temperature {result['temperature']:.2f} "
        f"({shown(result['ece_uncalibrated'])} % without)"
    )
