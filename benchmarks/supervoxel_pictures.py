"""Pictures for docs/supervoxels.md: one view as three methods cut it, and growth as curves.

    python benchmarks/supervoxel_pictures.py --json benchmarks/results/supervoxels.json

Writes docs/images/supervoxels.png from a simulated view of 640 x 480 pixels, and from the growth
rows of the results docs/images/supervoxels_growth.svg.
"""

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # runs from a checkout that is not installed

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from supervoxel_rivals import build, methods
from supervoxel_rivals.clouds import Labelled, pictured_view

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 640, 480
COUNT = 300
VOXEL_SIZE = 0.02
BAR = 28  # pixels above a panel, for its title


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="results that hold growth rows")
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "otoc_benchmarks"
    parser.add_argument("--cache", type=Path, default=default)
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    images = ROOT / "docs" / "images"
    four_panels(args).quantize(96).save(images / "supervoxels.png", optimize=True)
    if args.json:
        rows = json.loads(args.json.read_text())["growth"]
        (images / "supervoxels_growth.svg").write_text(growth_curves(rows))


def four_panels(args: argparse.Namespace) -> Image.Image:
    frame = pictured_view(args.cache)
    seen = np.isfinite(frame["xyz"]).all(1)
    objects = (frame["semantic"][seen] + np.int64(1)) * 100_000 + frame["instance"][seen]
    none = np.zeros(0, np.int64)
    cloud = Labelled(
        "view", frame["xyz"][seen], frame["rgb"][seen], none, objects, VOXEL_SIZE, none
    )
    panels = [("The view", frame["rgb"].reshape(HEIGHT, WIDTH, 3))]
    rivals = {
        "VCCS": methods.vccs(build.vccs(args.cache), 0.2),
        "Cut-pursuit": methods.cut_pursuit(build.cut_pursuit(args.cache), "own"),
        "Ours": methods.ours,
    }
    for name, method in rivals.items():
        ids = method(cloud, COUNT)[0]
        title = f"{name}: {ids.max() + 1} super-voxels, {leaked(ids, objects):.1f} % leaked"
        panels.append((title, painted(ids, seen, frame["rgb"])))
    sheet = Image.new("RGB", (2 * WIDTH, 2 * (HEIGHT + BAR)), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (title, pixels) in enumerate(panels):
        x, y = place % 2 * WIDTH, place // 2 * (HEIGHT + BAR)
        draw.text((x + 6, y + 4), title, "black", font=ImageFont.load_default(18))
        sheet.paste(Image.fromarray(pixels), (x, y + BAR))
    return sheet


def leaked(ids: np.ndarray, objects: np.ndarray) -> float:
    """Under-segmentation error, per cent: points outside the commonest object of their own."""
    number = np.unique(objects, return_inverse=True)[1]
    width = number.max() + 1
    table = np.bincount(ids.astype(np.int64) * width + number, minlength=(ids.max() + 1) * width)
    return 100 * (1 - table.reshape(-1, width).max(1).sum() / len(ids))


def painted(ids: np.ndarray, seen: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """A colour of its own for each super-voxel over the faded view; black where nothing is seen."""
    tints = np.random.default_rng(0).integers(40, 240, (ids.max() + 1, 3))
    pixels = np.zeros((HEIGHT * WIDTH, 3), np.uint8)
    pixels[seen] = 0.7 * tints[ids] + 0.3 * rgb[seen]
    return pixels.reshape(HEIGHT, WIDTH, 3)


def growth_curves(rows: list[dict]) -> str:
    """An SVG of milliseconds, and of bytes a point, over millions of points."""
    panels = [
        ("milliseconds, one thread", [row["ms"] for row in rows]),
        ("bytes a point", [row["bytes_per_point"] for row in rows]),
    ]
    points = [row["points"] / 1e6 for row in rows]
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 300" font-family="sans-serif" '
        'font-size="12"><rect width="760" height="300" fill="white"/>'
    ]
    for place, (title, values) in enumerate(panels):
        left, top, width, height = 60 + 380 * place, 40, 290, 200
        most = 1.15 * max(values)
        xs = [left + width * p / max(points) for p in points]
        ys = [top + height * (1 - v / most) for v in values]
        parts.append(
            f'<text x="{left}" y="24">{title}</text>'
            f'<path d="M{left} {top} V{top + height} H{left + width}" fill="none" stroke="black"/>'
        )
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
        parts.append(f'<polyline points="{line}" fill="none" stroke="#2a6fb0" stroke-width="2"/>')
        for x, y, value in zip(xs, ys, values, strict=True):
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#2a6fb0"/>'
                f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">{value:.0f}</text>'
            )
        for tick in range(int(max(points)) + 1):
            x = left + width * tick / max(points)
            parts.append(
                f'<text x="{x:.1f}" y="{top + height + 16}" text-anchor="middle">{tick}</text>'
            )
        parts.append(f'<text x="{left}" y="{top + height + 36}">million points</text>')
    return "".join(parts) + "</svg>\n"


if __name__ == "__main__":
    main()
