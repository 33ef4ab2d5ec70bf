"""Objects from one click each, against full labels, other clusterings and methods without clicks.

    python benchmarks/instances.py --quick --json instances.json

Five parts: `tabletop` (real views, OTOC_DATA), `rooms` (simulated), `scores` (ScoreNet against the
live score, on rooms of split dev), `identity` (a simulated camera path) and `ms` (clustering alone,
up to a million points, plotted beside the JSON). Trainings and rooms are kept in the cache;
`--parts` adds to those that the JSON has, each with its command. Clusterings and scores are
compared on the same network outputs. Times are the median of wall times on an otherwise idle
machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads starve a shared machine
sys.path.insert(0, str(Path(__file__).parents[1]))  # runs from a checkout that is not installed

import numpy as np
from choices import several_of
from computer import processor
from efficiency.runs import FULL, QUICK, run_settings
from efficiency.runs import rooms as simulated
from efficiency.runs import trained as trained_side
from efficiency.sides import SIDES
from efficiency.tabletop import VIEWS, tabletop_site
from instance_rivals import dual_set, learnt_scores, tiles, without_clicks

from offline_training.bundle import export_bundle
from offline_training.demo.recordings import VAL_FRAMES, read_view
from offline_training.evaluation import InstanceScore, PredictedObjects
from offline_training.identity_score import IdentityScore
from offline_training.rooms import camera_clouds, generator_hash, make_rooms, room_seed
from offline_training.settings import TrainingSettings
from otoc_ros.core.boxes import upright_box
from otoc_ros.core.clustering import cluster_instances
from otoc_ros.perception import DetectedObject, LabelledCloud, Perception, Understanding
from otoc_ros.perception.identity import SteadyIdentity
from otoc_ros.site.site import Site

PARTS = ("tabletop", "rooms", "scores", "identity", "ms")
HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent / "bundle"

SCORE_ROOMS = {"quick": {"train": 4, "dev": 4}, "full": {"train": 12, "dev": 8}}
FINE = 0.02  # metres, voxels of the timings
IDS_OF_ROOM = 1_000_000  # more than any room uses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny networks, one seed, few rooms")
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--seeds", type=int, help="how many; three, or one if quick")
    parser.add_argument("--preset", help="of the trainings; small, or tiny if quick")
    parser.add_argument("--steps", type=int, help="of a round of a training; the preset's if none")
    parser.add_argument("--parts", type=several_of(PARTS), default=PARTS, help="comma-separated")
    parser.add_argument("--data", type=Path, default=os.environ.get("OTOC_DATA"))
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "otoc_benchmarks"
    parser.add_argument("--cache", type=Path, default=default, help="sites, rivals, frames")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    machine = f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    command = "python benchmarks/instances.py " + " ".join(sys.argv[1:])
    print(f"machine: {machine}\nseed: {args.seed}\ncommand: {command}", flush=True)
    known = args.json is not None and args.json.exists()
    result = json.loads(args.json.read_text()) if known else {}
    result |= {"rooms_generator": generator_hash()[:12]}
    run = {"tabletop": tabletop, "rooms": rooms, "scores": scores}
    run |= {"identity": identity, "ms": milliseconds}
    for part in args.parts:
        if part == "tabletop" and not args.data:
            print("no tabletop: give the recordings with --data or OTOC_DATA", file=sys.stderr)
            continue
        result[part] = run[part](args)
        result.setdefault("runs", {})[part] = {
            "machine": machine, "seed": args.seed, "command": command,
        }  # fmt: skip
        print(part, json.dumps(result[part], indent=1), flush=True)
        if args.json:
            args.json.write_text(json.dumps(result, indent=1) + "\n")


def seeds(args: argparse.Namespace) -> list[int]:
    return [args.seed + i for i in range(args.seeds or (1 if args.quick else 3))]


def tabletop(args: argparse.Namespace) -> dict:
    """Real views of set-ups and objects that were never learnt: one click an object against two
    methods without clicks, whose scales are chosen on the views that ours learns from."""
    views = {
        number: read_view(args.data / "tabletop" / f"learn{number}.npz") for number in range(VIEWS)
    }
    learnt = [number for number in views if number not in VAL_FRAMES]
    site = tabletop_site(args.data, args.cache)
    ours, published = [], []
    for seed in seeds(args):
        perception = Perception(trained(args, site, "ours", seed))
        seen = [perception.understand(views[n][0]) for n in VAL_FRAMES]
        truth = [views[n][1] for n in VAL_FRAMES]
        ours.append(clustered(perception, seen, truth, our_clusters))
        published.append(clustered(perception, seen, truth, published_clusters))
    every = 3 if args.quick else 1
    rows = {}
    for name, candidates in baselines(args.cache).items():
        scored = [
            (baseline_score(method, [views[n] for n in learnt[::every]])["ap50"], scale)
            for scale, method in candidates.items()
        ]
        _, scale = max(scored)
        row = baseline_score(candidates[scale], [views[n] for n in VAL_FRAMES])
        rows[name] = row | {"scale": scale}
    best = max(rows, key=lambda name: rows[name]["ap50"])
    return {
        "ours": mean(ours),
        "ours_by_seed": ours,
        "settings": settings(args, args.seed).model_dump(mode="json"),
        "dual_set": mean(published),
        "baseline": rows[best] | {"method": best},
        "baselines": rows,
    }


def baselines(cache: Path) -> dict:
    """Every method without clicks that this machine can run, at several scales."""
    found = {}
    try:
        import open3d  # noqa: F401
    except (ImportError, OSError) as error:
        print(f"no RANSAC + DBSCAN: {error}; pip install open3d-cpu", file=sys.stderr)
    else:
        found["ransac_dbscan"] = {
            f"eps {eps}, {points} points": without_clicks.ransac_dbscan(eps, points)
            for eps in (0.01, 0.02)
            for points in (5, 15)
        }
    if program := without_clicks.build_lccp(cache):
        found["lccp"] = {
            f"seed {seed}, {degrees} degrees": without_clicks.lccp(program, seed, degrees)
            for seed in (0.02, 0.03)
            for degrees in (10, 15)
        }
    return found


def baseline_score(method, views) -> dict:
    score = InstanceScore([1])
    for cloud, truth in views:
        segment = method(cloud.xyz, cloud.rgb)
        score.add(truth.semantic, truth.instance, without_clicks.as_objects(segment, 1))
    return rounded(score.summary())


def rooms(args: argparse.Namespace) -> dict:
    """Simulated rooms whose furniture was never learnt: one click an object against full labels.

    The trainings are those of `label_efficiency.py` where it was given the same steps.
    """
    rows: dict[str, list[dict]] = {"ours": [], "full": [], "dual_set": []}
    numbers = QUICK if args.quick else FULL
    site = simulated(args.cache, numbers, 0.08, args.seed, visit=0)
    up = np.array([0.0, 0.0, 1.0])
    for seed in seeds(args):
        for name in ("ours", "full"):
            perception = Perception(trained(args, site, name, seed))
            scenes = site.scenes(split="val")
            seen = [perception.understand(scene.cloud(), up) for scene in scenes]
            truth = [scene.truth() for scene in scenes]
            rows[name].append(clustered(perception, seen, truth, our_clusters))
            if name == "ours":
                rows["dual_set"].append(clustered(perception, seen, truth, published_clusters))
    result = {name: mean(each) for name, each in rows.items()} | {"by_seed": rows}
    for measure in ("ap", "ap50", "ap25"):
        result[f"ratio_{measure}"] = ratio(result["ours"][measure], result["full"][measure])
    return result | {"settings": settings(args, seed).model_dump(mode="json")}


def settings(args: argparse.Namespace, seed: int) -> TrainingSettings:
    name = args.preset or ("tiny" if args.quick else "small")
    chosen = run_settings(name, quick=args.quick, steps=args.steps)
    return chosen.model_copy(update={"seed": seed})


def trained(args: argparse.Namespace, site: Site, name: str, seed: int) -> Path:
    """The bundle of a side of `label_efficiency.py`; a training that was cut off goes on."""
    run, _ = trained_side(args.cache, site, name, SIDES[name], settings(args, seed), seed)
    return export_bundle(run, run.path / "bundle").path


def clustered(perception: Perception, seen, truth, method) -> dict:
    """AP of a clustering of what a bundle understood of some clouds."""
    score = InstanceScore(np.flatnonzero(perception.thing).tolist())
    for understood, true in zip(seen, truth, strict=True):
        found = method(perception, understood)
        points = understood.prepared.to_points(found.instance, fill=0)
        objects = PredictedObjects(points, found.class_id, found.score)
        score.add(true.semantic, true.instance, objects)
    return rounded(score.summary())


def our_clusters(perception: Perception, seen: Understanding) -> PredictedObjects:
    prepared, offset, belief, parting = seen
    found = cluster_instances(
        prepared, offset, belief, perception.thing, perception.clustering, parting
    )
    return PredictedObjects.of(*found)


def published_clusters(perception: Perception, seen: Understanding) -> PredictedObjects:
    prepared, offset, belief, _ = seen
    of_voxel = belief[prepared.supervoxel]
    size = perception.preprocessing.voxel_size
    found = dual_set.dual_set(prepared.xyz, offset, of_voxel, perception.thing, size)
    return PredictedObjects(*found)


def scores(args: argparse.Namespace) -> dict:
    """What ranks objects best, on rooms that the shipped bundle did not learn (of seed 0)."""
    numbers = SCORE_ROOMS["quick" if args.quick else "full"]
    folder = args.cache / f"rooms-scores-{'-'.join(map(str, numbers.values()))}-{args.seed}"
    site = make_rooms(folder, sum(numbers.values()), args.seed + 1, splits=numbers, voxel_size=0.08)
    by_seed = learnt_scores.compare(Perception(SHIPPED), site, seeds(args))
    by_name = {name: [rounded(each) for each in rows] for name, rows in by_seed.items()}
    return {name: mean(rows) for name, rows in by_name.items()} | {"by_seed": by_name}


def identity(args: argparse.Namespace) -> dict:
    """IDF1 on the way of a simulated camera through rooms, with poses as the robot believes them:
    ids from labels of the quality of truth, from those of the shipped bundle, and none at all."""
    perception = Perception(SHIPPED)
    names = ("truth", "real", "real_without_identity")
    total = {name: IdentityScore() for name in names}
    rows = []
    for number in range(1 if args.quick else 3):
        score = {name: IdentityScore() for name in names}
        steady = {name: SteadyIdentity() for name in names[:2]}
        count = 40 if args.quick else 120
        path = camera_clouds(room_seed(args.seed, "val", number), "val", visit=1, count=count)
        for step, frame in enumerate(path):
            up = frame.pose[2, :3]
            finite = np.isfinite(frame.cloud.xyz).all(axis=1)
            if not finite.any():
                continue  # too near to a wall to see anything
            is_thing = (frame.semantic >= 0) & perception.thing[frame.semantic]
            # Where a thing of no object is, the truth does not know; on a wall it knows: no object.
            counts = finite & (frame.semantic >= 0) & (~is_thing | (frame.instance > 0))
            exact = from_truth(frame, perception.thing)
            real = perception(frame.cloud, up)
            labelled = {
                "truth": steady["truth"](frame.cloud, exact, 0.5 * step, frame.pose),
                "real": steady["real"](frame.cloud, real, 0.5 * step, frame.pose),
                "real_without_identity": real,
            }
            true = np.where(is_thing, frame.instance, 0).astype(np.int32)
            for name, found in labelled.items():
                score[name].add(true, found.instance, counts)
                # Every room counts its objects from 1: one room's first is not another's.
                own, theirs = (of_room(ids, number) for ids in (true, found.instance))
                total[name].add(own, theirs, counts)
        rows.append({name: round(each.idf1(), 4) for name, each in score.items()})
    result = {name: round(each.idf1(), 4) for name, each in total.items()}
    return result | {"frames": count, "rooms": rows}


def of_room(ids: np.ndarray, number: int) -> np.ndarray:
    """Object numbers that no other room has."""
    return np.where(ids > 0, ids + number * IDS_OF_ROOM, 0).astype(np.int32)


def from_truth(frame, thing) -> LabelledCloud:
    """What a perfect bundle would say: objects of at least 100 points."""
    finite = np.isfinite(frame.cloud.xyz).all(axis=1)
    known = finite & (frame.semantic >= 0) & thing[frame.semantic] & (frame.instance > 0)
    ids, size = np.unique(frame.instance[known], return_counts=True)
    instance = np.zeros(len(finite), np.int32)
    objects = []
    for true in ids[size >= 100]:
        mine = known & (frame.instance == true)
        number = len(objects) + 1
        instance[mine] = number
        name = int(np.bincount(frame.semantic[mine]).argmax())
        xyz = frame.cloud.xyz[mine]
        ends = xyz.min(axis=0), xyz.max(axis=0)
        objects.append(DetectedObject(number, name, 1.0, upright_box(xyz), *ends))
    none = np.zeros(len(finite), np.int32)
    class_id = frame.semantic.astype(np.int32)
    sure, strange = known.astype(np.float32), none.astype(np.float32)
    return LabelledCloud(class_id, instance, sure, none, strange, objects, {})


def milliseconds(args: argparse.Namespace) -> dict:
    """Clustering alone on thing voxels of simulated rooms as the shipped bundle sees them, in the
    super-voxels of 2 cm voxels: tiles of it, up to a million."""
    perception = Perception(SHIPPED)
    up = np.array([0.0, 0.0, 1.0])
    site = make_rooms(args.cache / "rooms-ms", 2, args.seed, splits={"dev": 1}, voxel_size=0.08)
    seen = [
        tiles.finer(perception.understand(scene.cloud(), up), scene.cloud(), up, FINE)
        for scene in site.scenes(split="dev")
    ]
    things = [tiles.things_only(cloud, perception.thing) for cloud in seen]
    rows = []
    for voxels in (25_000, 50_000, 100_000, 200_000, 500_000, 1_000_000):
        cloud = tiles.tiled(things, voxels)
        repeats = 7 if voxels <= 200_000 else 3
        ours = median_ms(lambda cloud=cloud: our_clusters(perception, cloud), repeats)
        row = {"points": voxels, "supervoxels": len(cloud.belief), "ours_ms": ours}
        if voxels <= 200_000 or not args.quick:
            theirs = median_ms(lambda cloud=cloud: published_clusters(perception, cloud), 2)
            row |= {"dual_set_ms": theirs, "times_faster": round(theirs / ours, 2)}
        rows.append(row)
        print("ms", json.dumps(row), flush=True)
    if args.json:
        plot(rows, args.json.with_suffix(".png"))
    at = next(row for row in rows if row["points"] == 100_000)
    return {"at_100k": at, "growth": rows}


def median_ms(run, repeats: int) -> float:
    run()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        times.append((time.perf_counter() - begin) * 1e3)
    return round(float(np.median(times)), 1)


def plot(rows: list[dict], path: Path) -> None:
    """Time over points on logarithmic axes, beside a line of slope one."""
    from PIL import Image, ImageDraw

    width, height, edge = 640, 420, 60
    picture = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(picture)
    points = np.log10([row["points"] for row in rows])
    series = {
        name: [row.get(key) for row in rows]
        for name, key in (("ours", "ours_ms"), ("dual set", "dual_set_ms"))
    }
    known = [value for values in series.values() for value in values if value]
    low, high = np.floor(np.log10(min(known))), np.ceil(np.log10(max(known)))

    def place(x: float, value: float) -> tuple[float, float]:
        across = (x - points[0]) / (points[-1] - points[0])
        up = (np.log10(value) - low) / (high - low)
        return edge + across * (width - 2 * edge), height - edge - up * (height - 2 * edge)

    for decade in range(int(low), int(high) + 1):
        begin, end = place(points[0], 10.0**decade), place(points[-1], 10.0**decade)
        pen.line([begin, end], fill=(225, 225, 225))
        pen.text((8, begin[1] - 6), f"{10.0**decade:g} ms", fill="black")
    for x, row in zip(points, rows, strict=True):
        pen.text(
            (place(x, 10.0**low)[0] - 18, height - edge + 8), f"{row['points']:,}", fill="black"
        )
    first = series["ours"][0]
    slope = [place(x, first * 10 ** (x - points[0])) for x in points]
    pen.line(slope, fill=(170, 170, 170), width=1)
    pen.text((slope[-1][0] - 40, slope[-1][1] - 16), "linear", fill=(120, 120, 120))
    for (name, values), ink in zip(series.items(), ((31, 119, 180), (214, 39, 40)), strict=True):
        dots = [place(x, value) for x, value in zip(points, values, strict=True) if value]
        pen.line(dots, fill=ink, width=2)
        for x, y in dots:
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=ink)
        pen.text((dots[-1][0] - 30, dots[-1][1] + 8), name, fill=ink)
    pen.text((edge, 14), "clustering of thing points, median wall time", fill="black")
    picture.save(path)


def mean(rows: list[dict]) -> dict:
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}


def rounded(summary: dict) -> dict:
    return {name: round(float(value), 4) for name, value in summary.items()}


def ratio(one: float, other: float) -> float | None:
    return round(one / other, 4) if other else None


if __name__ == "__main__":
    main()
