"""Time and memory of a forward pass over the number of voxels."""

import tempfile
from pathlib import Path

from sparse_engine_stages.cells import Plan, memory
from sparse_engine_stages.clocks import Turns, clock_of, median
from sparse_engine_stages.clouds import grid, side_by_side, simulated_room
from sparse_engine_stages.engines import forward_engines, make_case

SIZES = (10_000, 30_000, 100_000, 200_000, 400_000, 1_000_000)
TURNS = 3
SPCONV_UP_TO = 200_000


def growth(seed: int, plan: Plan, most: int) -> list[dict]:
    """One row a size, preset `small`: the room from one end on, then copies of it beside it."""
    room = grid(simulated_room(seed, plan.cache)["fused"], 0.02)
    rows = []
    for voxels in (size for size in SIZES if size <= most):
        coords = side_by_side(room, voxels)
        with tempfile.TemporaryDirectory() as folder:
            case = make_case(f"growth {voxels}", coords, "small", seed, Path(folder))
            engines = {
                name: (run, clock_of(plan.threads))
                for name, run in forward_engines(case, plan.threads).items()
                if name in ("native", "onnx")
            }
            if voxels <= SPCONV_UP_TO and (peer := forward_engines(case, 1).get("spconv")):
                engines["spconv"] = (peer, clock_of(1))
            file = plan.kept("growth", voxels, seed, plan.threads)
            times = Turns(file).take(engines, TURNS, plan.until)
            row = {"voxels": voxels} | {f"{name}_ms": median(times[name]) for name in engines}
            row |= {"others": max(times["others"], default=None)}
            rows.append(row | memory(case, plan, ("native", "onnx")))
    return rows


def plot(rows: list[dict], path: Path) -> None:
    """Seconds over voxels, both axes linear, as a PNG."""
    from PIL import Image, ImageDraw, ImageFont

    width, height, left, low, scale = 900, 560, 90, 70, 2
    picture = Image.new("RGB", (width * scale, height * scale), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(14 * scale)
    right = max(row["voxels"] for row in rows)
    lines = {
        name: [(row["voxels"], row[f"{name}_ms"] / 1e3) for row in rows if row.get(f"{name}_ms")]
        for name in ("spconv", "onnx", "native")
    }
    top = max((seconds for line in lines.values() for _, seconds in line), default=1.0)

    def at(voxels: float, seconds: float) -> tuple[float, float]:
        x = left + (width - left - 30) * voxels / right
        return x * scale, (height - low - (height - low - 30) * seconds / top) * scale

    for share in range(6):
        voxels, seconds = right * share / 5, top * share / 5
        pen.line([at(0, seconds), at(right, seconds)], fill="#dddddd", width=scale)
        x, y = at(0, seconds)
        pen.text((x - 8 * scale, y), f"{seconds:.2g} s", "black", font, anchor="rm")
        x, y = at(voxels, 0)
        pen.text((x, y + 12 * scale), f"{voxels / 1e3:.0f} k", "black", font, anchor="mt")
    pen.text(
        (at(right / 2, 0)[0], (height - 12) * scale),
        "voxels; one forward pass, maps included, preset small",
        "black", font, anchor="mb",
    )  # fmt: skip
    told = {"spconv": "spconv, 1 thread", "onnx": "onnxruntime", "native": "native kernel"}
    colours = {"spconv": "#c0392b", "onnx": "#2471a3", "native": "#1e8449"}
    for number, (name, line) in enumerate(lines.items()):
        points = [at(*point) for point in line]
        pen.line(points, fill=colours[name], width=3 * scale)
        for x, y in points:
            r = 4 * scale
            pen.ellipse([x - r, y - r, x + r, y + r], fill=colours[name])
        place = (left + 20) * scale, (40 + 22 * number) * scale
        pen.text(place, told[name], colours[name], font, anchor="lm")
    picture.resize((width, height), Image.Resampling.LANCZOS).save(path, optimize=True)
