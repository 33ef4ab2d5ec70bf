"""Time and memory of our super-voxels over the number of points."""

import multiprocessing
from pathlib import Path
from time import process_time

import numpy as np
from supervoxel_rivals import methods
from supervoxel_rivals.clouds import Labelled


def growth(room: Labelled, most: int) -> list[dict[str, float]]:
    """One row a size, each in a process of its own: copies of a room stand side by side.

    bytes_per_point is what the resident memory grows by at its highest, the cloud itself left out.
    """
    sizes = [n for n in (100_000, 200_000, 400_000, 800_000, 1_500_000, 3_000_000) if n <= most]
    rows = []
    for points in sizes:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            milliseconds, grown = pool.apply(_measure, (room, points))
        row = {"points": points, "ms": milliseconds, "ms_per_100k": milliseconds / points * 1e5}
        row["bytes_per_point"] = grown / points
        rows.append({key: round(value, 1) for key, value in row.items()})
    return rows


def _measure(room: Labelled, points: int) -> tuple[float, int]:
    cloud = _side_by_side(room, points)
    small = _side_by_side(room, 5_000)
    methods.ours(small, 20)  # compiles; the libraries' own memory is taken
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak until now
    before = _resident("VmRSS")
    begin = process_time()
    methods.ours(cloud, max(1, points // 300))
    return 1000 * (process_time() - begin), 1024 * (_resident("VmHWM") - before)


def _side_by_side(room: Labelled, points: int) -> Labelled:
    """The room's points by distance along x, again and again, until there are enough."""
    order = np.argsort(room.xyz[:, 0], kind="stable")
    step = np.float32([np.ptp(room.xyz[:, 0]) + 0.5, 0, 0])
    copies = -(-points // len(order))
    xyz = np.concatenate([room.xyz[order] + i * step for i in range(copies)])[:points]
    rgb = np.concatenate([room.rgb[order]] * copies)[:points]
    shuffled = np.random.default_rng(0).permutation(points)  # no order helps
    none = np.zeros(0, np.int64)
    return Labelled("growth", xyz[shuffled], rgb[shuffled], none, none, room.voxel_size, none)


def _resident(key: str) -> int:
    """Kilobytes, VmRSS now or VmHWM at the highest."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))
