"""What one click an object costs against full labels: mean IoU of every side on the same rooms.

    python benchmarks/label_efficiency.py --quick --json label_efficiency.json

Every side is trained for the same optimiser steps on the same simulated rooms and scored on rooms
whose furniture it never saw, as the live pipeline labels the super-voxels of their fused scans,
before its objects settle their class. Trainings are kept in the cache and gone on with when the
command is given again; `--sides` runs some of them, and their rows join those of the same settings
and sources that the JSON file already has. `--site SITE` takes the scenes of a site with truth
(splits train and val) in place of simulated rooms.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads starve a shared machine
sys.path.insert(0, str(Path(__file__).parents[1]))  # runs from a checkout that is not installed

import numpy as np
from choices import several_of
from computer import processor
from efficiency.bootstrap import intervals, pooled
from efficiency.controls import Room, height_and_colour, nearest_click, oracle
from efficiency.plot import plot
from efficiency.runs import FULL, QUICK, rooms, run_settings, seconds, sources, trained
from efficiency.scoring import Trained, label_quality, prepare, prepared_views, room_confusions
from efficiency.sides import HEADLINE, SENSORS, SIDES
from efficiency.tabletop import tabletop_site
from peak_memory import added_megabytes
from rich.console import Console
from rich.table import Table

from offline_training.rooms import generator_hash
from offline_training.scenes import load_scene
from offline_training.self_training import preprocessing
from offline_training.settings import TrainingSettings
from otoc_ros.core.label_graph import TOUCHING
from otoc_ros.core.look import Look
from otoc_ros.core.propagation import affinities, mean_field, neighbour_graph
from otoc_ros.core.scene_colours import with_scene_colours
from otoc_ros.site.site import Site

PARTS = ("rooms", "tabletop", "propagation")
VIEWS = 3  # raw views of each validation room
TILT = 5.0  # degrees by which the robot is wrong about what is up
REFERENCE = "full"  # what ratios divide by
COMMANDS = 12  # last ones that the JSON remembers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small rooms, few steps, (a) (b) (f)")
    parser.add_argument("--preset", default="tiny", help="size and length of every training")
    parser.add_argument("--steps", type=int, help="of a round, of every side; the preset's if none")
    parser.add_argument("--voxel-size", type=float, default=0.08, help="metres")
    parser.add_argument("--seed", type=int, default=0, help="of the first training, and the rooms")
    parser.add_argument("--seeds", type=int, default=1, help="how many trainings of each side")
    sides = f"comma-separated, of {', '.join(SIDES)}; all if none"
    parser.add_argument("--sides", type=several_of(SIDES), help=sides)
    parser.add_argument("--parts", type=several_of(PARTS), default=PARTS, help="comma-separated")
    parser.add_argument("--site", type=Path, help="a site with truth in place of the rooms")
    parser.add_argument("--data", type=Path, default=os.environ.get("OTOC_DATA"))
    parser.add_argument("--json", type=Path, help="rows join those that are in this file")
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "otoc_benchmarks"
    parser.add_argument("--cache", type=Path, default=default, help="rooms and trainings")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    machine = f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    command = "python benchmarks/label_efficiency.py " + " ".join(sys.argv[1:])
    print(f"machine: {machine}\nseed: {args.seed}\ncommand: {command}", flush=True)
    result = json.loads(args.json.read_text()) if args.json and args.json.exists() else {}
    result |= {"seed": args.seed, "rooms_generator": generator_hash()[:12]}
    run = {"rooms": of_rooms, "tabletop": of_tabletop, "propagation": of_propagation}
    for part in args.parts:
        if part == "tabletop" and not args.data:
            print("no tabletop: give the recordings with --data or OTOC_DATA", file=sys.stderr)
            continue
        earlier = result.get(part, {})
        commands = [*earlier.get("commands", []), command][-COMMANDS:]
        result[part] = run[part](args, earlier) | {"machine": machine, "commands": commands}
        if args.json:
            args.json.write_text(json.dumps(result, indent=1) + "\n")
    if args.json and result.get("rooms", {}).get("rows"):
        plot(result["rooms"]["rows"], args.json.with_suffix(".png"))


def base_settings(args: argparse.Namespace) -> TrainingSettings:
    return run_settings(args.preset, quick=args.quick, steps=args.steps)


def earlier_rows(args: argparse.Namespace, earlier: dict, made_of: dict) -> list[dict]:
    """Rows of the file; an error where they were made of other settings or sources."""
    for name, value in made_of.items():
        if earlier and earlier.get(name) != value:
            sys.exit(
                f"{args.json} has rows of other {name}: {earlier.get(name)}, not {value}; "
                "ratios across them would mean nothing. Give another --json"
            )
    return earlier.get("rows", [])


def of_rooms(args: argparse.Namespace, earlier: dict) -> dict:
    numbers = QUICK if args.quick else FULL
    if args.site:
        site, again = Site.open(args.site), None
    else:
        site = rooms(args.cache, numbers, args.voxel_size, args.seed, visit=0)
        train = {"train": numbers["train"]}
        again = rooms(args.cache, train, args.voxel_size, args.seed, visit=1)
    made_of = {
        "voxel_size": site.config.voxel_size,
        "settings": base_settings(args).model_dump(mode="json"),
        "sources": sources(),
        "train_scenes": len(site.scenes(split="train")),
        "val_scenes": len(site.scenes(split="val")),
    }
    before = earlier_rows(args, earlier, made_of)
    sides = args.sides or list(HEADLINE if args.quick else SIDES)
    rows = joined(before, compare(args, sides, site, again))
    show(rows, "rooms")
    return headline(rows) | made_of | {"rows": rows}


def of_tabletop(args: argparse.Namespace, earlier: dict) -> dict:
    """Real views: clicks on set-ups of some objects, scored on other set-ups of other objects."""
    site = tabletop_site(args.data, args.cache)
    made_of = {"settings": base_settings(args).model_dump(mode="json"), "sources": sources()}
    before = earlier_rows(args, earlier, made_of)
    rows = joined(before, compare(args, args.sides or list(HEADLINE), site, None))
    show(rows, "tabletop")
    return headline(rows) | made_of | {"rows": rows}


def compare(
    args: argparse.Namespace, sides: list[str], site: Site, again: Site | None
) -> list[dict]:
    """A row for each side, with its ratio to full labels and how sure that is."""
    base = base_settings(args)
    classes = len(site.config.classes)
    held_out = [prepare(scene, site) for scene in site.scenes(split="val")]
    learnt = site.scenes(split="train")
    learnt_rooms = [prepare(scene, site) for scene in learnt]
    others = otherwise_seen(site, again)
    tables, rows = {}, []
    for name in dict.fromkeys([REFERENCE, *sides]):
        side, found, row = SIDES[name], [], {"side": name, "says": SIDES[name].says}
        # The U-Net alone of full labels is that of the side with every stage: one training.
        taught = REFERENCE if name == "full_unet" else name
        extra: dict[str, list] = {part: [] for part in others if name in HEADLINE | SENSORS}
        for seed in range(args.seed, args.seed + args.seeds):
            run, clicks = trained(args.cache, site, taught, SIDES[taught], base, seed)
            networks = Trained(run)
            found.append(room_confusions(networks, held_out, side.alone, classes))
            for part, each in extra.items():
                each.append(room_confusions(networks, others[part], side.alone, classes))
        tables[name] = np.stack(found)
        row |= {"miou": pooled(tables[name]), "seeds": args.seeds}
        row["miou_by_seed"] = [round(pooled(each[None]), 4) for each in tables[name]]
        row |= {f"{part}_miou": pooled(np.stack(each)) for part, each in extra.items()}
        if side.settings.get("labels") != "full":
            row |= {"clicks": clicks, "seconds": seconds(clicks)}
        if name == "ours":
            names = [scene.name for scene in learnt]
            row["pseudo_labels"] = label_quality(run, learnt_rooms, names, classes)
        rows.append(row)
        print(json.dumps(row), flush=True)
    tables |= controls(args, site, learnt_rooms, held_out, rows)
    sure = intervals(tables, REFERENCE, args.seed)
    for row in rows:
        row["ratio"] = pooled(tables[row["side"]]) / pooled(tables[REFERENCE])
        row["ratio_low"], row["ratio_high"] = sure[row["side"]]
    return [{name: rounded(value) for name, value in row.items()} for row in rows]


def otherwise_seen(site: Site, again: Site | None) -> dict[str, list[Room]]:
    """The same rooms as sensors differ: validation rooms in raw views, without colour and with a
    tilt that nobody knows of, and the training rooms on another day."""
    held_out = site.scenes(split="val")
    parts = {
        "views": [view for scene in held_out for view in prepared_views(scene, site, VIEWS)],
        "colourless": [prepare(scene, site, colour=False) for scene in held_out],
        "tilted": [prepare(scene, site, tilt=TILT) for scene in held_out],
    }
    if again is not None:
        parts["again"] = [prepare(scene, again) for scene in again.scenes()]
    return {part: seen for part, seen in parts.items() if seen}


def controls(
    args: argparse.Namespace,
    site: Site,
    learnt_rooms: list[Room],
    held_out: list[Room],
    rows: list[dict],
) -> dict[str, np.ndarray]:
    """Guessers without networks, and the limit of the super-voxels; adds their rows."""
    classes = len(site.config.classes)
    run, _ = trained(args.cache, site, "clicks_only", SIDES["ours"], one_step(args), args.seed)
    marks = [load_scene(scene, preprocessing(run)).marks for scene in run.scenes(split="train")]
    known = [(prepared, said) for (prepared, _), said in zip(learnt_rooms, marks, strict=True)]
    made = {
        "oracle": ("super-voxels labelled by truth", oracle(held_out, classes)),
        "nearest": (
            "nearest clicked super-voxel, no network",
            nearest_click(known, held_out, classes),
        ),
        "height_colour": (
            "full labels, height and colour alone",
            height_and_colour(learnt_rooms, held_out, classes, args.seed),
        ),
    }
    tables = {}
    for name, (says, table) in made.items():
        tables[name] = np.repeat(table[None], args.seeds, axis=0)
        rows.append({"side": name, "says": says, "miou": pooled(tables[name]), "seeds": 1})
    return tables


def one_step(args: argparse.Namespace) -> TrainingSettings:
    return base_settings(args).model_copy(update={"rounds": 1, "steps": 1})


def headline(rows: list[dict]) -> dict:
    """The figures that the targets are about."""
    by_side = {row["side"]: row for row in rows}
    result = {name: {"miou": by_side[name]["miou"]} for name in HEADLINE if name in by_side}
    if {"full", "clicked", "ours"} <= by_side.keys():
        full, clicked, ours = (by_side[name]["miou"] for name in ("full", "clicked", "ours"))
        result |= {
            "ratio": by_side["ours"]["ratio"],
            "ratio_low": by_side["ours"]["ratio_low"],
            "gap_closed": round((ours - clicked) / (full - clicked), 4),
        }
    return result


def of_propagation(args: argparse.Namespace, earlier: dict) -> dict:
    """Mean field over 100 000 super-voxels of 20 classes, in a process of its own."""
    count = 20_000 if args.quick else 100_000
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        row = alone.submit(propagate, count, base_settings(args), args.seed).result()
    print("propagation", json.dumps(row))
    return row


def propagate(count: int, settings: TrainingSettings, seed: int) -> dict:
    """Seconds of colours, graph, affinities and mean field, and memory that they add."""
    classes, rng = 20, np.random.default_rng(seed)
    cube = (count / 40) ** (1 / 3)  # metres; 40 super-voxels a cubic metre
    position = (np.random.default_rng(seed).random((count, 3)) * cube).astype(np.float32)
    terms = [
        (rng.normal(size=(count, width)).astype(np.float32), sigma)
        for width, sigma in ((3, 0.15), (3, 0.6), (16, 0.5), (32, 0.5))
    ]
    unary = np.log(rng.dirichlet(np.ones(classes), count)).astype(np.float32)
    paint = rng.uniform(0.2, 1.8, (60, 3))[rng.integers(60, size=count)]  # 60 materials
    paint += rng.normal(0, 0.03, paint.shape)
    spread = settings.propagation

    def run(rows: slice) -> None:
        around, colour = position[rows], paint[rows].astype(np.float32)
        flat = np.zeros((len(around), 6), np.float32)
        bright, area = np.full(len(around), 0.5, np.float32), np.ones(len(around))
        look = Look(around, flat, flat[:, :3], colour, bright, area, 0.08, 0.3)
        scores = with_scene_colours(unary[rows], look, spread)
        # As many edges as live, where those to what touches are found with the super-voxels.
        graph = neighbour_graph(around, spread.neighbours + TOUCHING)
        alike = affinities(graph, (around, 0.5), *((part[rows], s) for part, s in terms))
        mean_field(scores, graph, alike, spread.weight, spread.steps)

    run(slice(1000))  # compiles
    begin = time.perf_counter()
    added = added_megabytes(lambda: run(slice(None)))
    return {
        "supervoxels": count,
        "classes": classes,
        "seconds": round(time.perf_counter() - begin, 3),
        "mb": round(added),
    }


def joined(earlier: list[dict], rows: list[dict]) -> list[dict]:
    """Rows of an earlier command, replaced where this one has them too; in the sides' order."""
    known = {row["side"]: row for row in earlier} | {row["side"]: row for row in rows}
    order = [*SIDES, "oracle", "nearest", "height_colour"]
    return sorted(known.values(), key=lambda row: order.index(row["side"]))


def show(rows: list[dict], title: str) -> None:
    table = Table("side", "clicks", "mIoU", "of full labels", "95 %", title=title)
    for row in rows:
        sure = f"{row['ratio_low']:.3f} to {row['ratio_high']:.3f}"
        ratio = f"{row['ratio']:.3f}"
        table.add_row(row["says"], str(row.get("clicks", "")), f"{row['miou']:.3f}", ratio, sure)
    Console(width=110).print(table)


def rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
