"""The sparse U-Net on every engine and on spconv: same weights, same clouds, one run.

    python benchmarks/sparse_engine.py --quick --json sparse_engine.json

Times are medians, milliseconds from voxel coordinates to features: kernel maps, groups and feeds
are included on every side, spconv's index pairs too. Engines take turns, so that other load on the
machine meets all of them; times of one thread are processor time, which other load hardly changes.
spconv 2.3.8 computes correctly on one thread only: ratios are against that, its time and error with
more threads stand beside it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).parents[1]))  # runs from a checkout that is not installed

import numpy as np
import onnxruntime
import torch
from computer import processor

from offline_training.export import write_sparse_onnx
from offline_training.settings import PRESETS
from offline_training.sparse import Maps, only_torch
from offline_training.unet import UNet
from otoc_ros.core import native
from otoc_ros.core.sparse_feeds import sparse_feeds
from otoc_ros.core.voxels import kernel_maps, voxelize

CHANNELS = 6


@dataclass
class Case:
    """A cloud and a network of one preset; the ONNX file lies in a temporary folder."""

    name: str
    coords: np.ndarray
    unet: UNet
    onnx: Path

    def __post_init__(self) -> None:
        random = torch.Generator().manual_seed(len(self.coords))
        self.features = torch.randn(len(self.coords), CHANNELS, generator=random)
        self.rows = torch.from_numpy(np.insert(self.coords, 0, 0, axis=1).astype(np.int32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="preset small, clouds up to 30 k voxels"
    )
    parser.add_argument("--json", type=Path, help="results; cells that it holds are not run again")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the simulated room")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument(
        "--presets", default="", help="comma-separated; small, and base if not quick"
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("OTOC_DATA"))
    args = parser.parse_args()
    command = "python benchmarks/sparse_engine.py " + " ".join(sys.argv[1:])
    print(f"machine: {machine()}\nseed: {args.seed}\ncommand: {command}")
    if spconv_unet() is None:
        print("spconv is not installed: pip install spconv-cu120 (Python 3.11 or older)")

    result = {"machine": machine(), "seed": args.seed, "command": command, "clouds": []}
    if args.json and args.json.exists():
        before = json.loads(args.json.read_text())
        if (before["machine"], before["seed"]) == (result["machine"], args.seed):
            result["clouds"] = before["clouds"]
    done = {(cell["name"], cell["preset"], cell["threads"]) for cell in result["clouds"]}
    peak = {threads: sgemm_peak(threads) for threads in sorted({1, args.threads})}
    result["sgemm_gflops"] = {str(k): round(v / 1e9, 1) for k, v in peak.items()}
    print(f"sgemm peak, GFLOP/s by threads: {result['sgemm_gflops']}")
    presets = (
        args.presets.split(",") if args.presets else ["small", "base"][: 1 if args.quick else 2]
    )
    for name, coords in clouds(args):
        for preset in presets:
            if (name, preset, args.threads) in done:
                continue
            cell = measure(name, coords, preset, args, peak)
            result["clouds"].append(cell)
            print(json.dumps(cell), flush=True)
            if args.json:
                args.json.write_text(json.dumps(result, indent=1) + "\n")


def clouds(args: argparse.Namespace) -> list[tuple[str, np.ndarray]]:
    """Coordinates by name: recordings where they are, and a simulated room."""
    from offline_training.rooms import make_room

    found = []
    room = make_room(args.seed, "val", frames=32, keep=2, voxel=0.02)
    if args.data:
        from otoc_ros.site.readers import read_cloud

        for name in ("office_corner", "living_room_fragment"):
            xyz = read_cloud(args.data / "scans" / f"{name}.pcd").xyz
            found.append((f"{name} 2 cm", grid(xyz, 0.02)))
        with np.load(args.data / "tabletop" / "learn33.npz") as frame:
            found.append(("tabletop 2 cm", grid(frame["xyz"], 0.02)))
    else:
        for number, view in enumerate(room.views):
            found.append((f"simulated view {number} 2 cm", grid(view.cloud.xyz, 0.02)))
    whole = grid(room.cloud.xyz, 0.02)
    for count in (30_000,) if args.quick else (30_000, 100_000):
        if len(whole) >= count:
            found.append((f"room 2 cm, {count // 1000} k", nearest(whole, count)))
    found.append(("room 5 cm", grid(room.cloud.xyz, 0.05)))
    if not args.quick:
        found.append(("room 2 cm", whole))
    return found


def grid(xyz: np.ndarray, size: float) -> np.ndarray:
    return voxelize(xyz[np.isfinite(xyz).all(1)], size).coords


def nearest(coords: np.ndarray, count: int) -> np.ndarray:
    """The voxels of a cube about the middle of the room."""
    apart = np.abs(coords - np.median(coords, axis=0)).max(1)
    return coords[np.sort(np.argsort(apart, kind="stable")[:count])]


def measure(
    name: str, coords: np.ndarray, preset: str, args: argparse.Namespace, peak: dict[int, float]
) -> dict:
    size = PRESETS[preset]
    torch.manual_seed(args.seed)
    unet = UNet(CHANNELS, size.width, size.levels)
    settle(unet, coords)
    with tempfile.TemporaryDirectory() as folder:
        case = Case(name, coords, unet, Path(folder) / "unet.onnx")
        heads = {"feature": torch.nn.Identity()}
        write_sparse_onnx(case.onnx, unet, heads, CHANNELS, {})
        cell: dict = {"name": name, "preset": preset, "threads": args.threads}
        cell["voxels"] = len(coords)
        with torch.no_grad():
            exact = unet.double()(case.features.double(), Maps.build(coords, size.levels)).float()
        unet.float()
        many = forward(case, args.threads, args.repeats, exact)
        errors = [row.pop("error") for key, row in many.items() if key != "spconv"]
        cell |= {f"{engine}_ms": row["ms"] for engine, row in many.items() if engine != "spconv"}
        cell["max_abs_err"] = max(errors)
        one = forward(case, 1, args.repeats, exact) if args.threads > 1 else many
        cell["one_thread"] = {f"{engine}_ms": row["ms"] for engine, row in one.items()}
        if "spconv" in one:
            cell["spconv_ms"] = one["spconv"]["ms"]
            cell["spconv_err"] = one["spconv"].get("error")
            cell["spconv_threads"] = many["spconv"]
        cell["maps_ms"] = median(lambda: kernel_maps(coords, size.levels), args.repeats)
        cell["feeds_ms"] = median(lambda: sparse_feeds(coords, size.levels), args.repeats)
        if "native_ms" in cell:
            alone = native_alone(case, args.threads, args.repeats)
            cell["roofline"] = round(2 * products(case) / alone / peak[args.threads], 3)
        cell["train"] = training(case, args.threads, args.repeats)
        cell["one_thread"]["train"] = training(case, 1, args.repeats)
        cell["peak_mb"] = {engine: peak_memory(case, engine, args.threads) for engine in many}
    return cell


def settle(unet: UNet, coords: np.ndarray) -> None:
    """Batch norms as after some training, so that activations neither vanish nor explode."""
    maps = Maps.build(coords, unet.n_levels)
    with torch.no_grad():
        for _ in range(3):
            unet(torch.randn(len(coords), CHANNELS), maps)
    unet.eval()


def forward_engines(case: Case, threads: int) -> dict[str, Callable[[], np.ndarray]]:
    """Functions from the case's coordinates and features to features, by engine."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(
        str(case.onnx), options, providers=["CPUExecutionProvider"]
    )
    levels = case.unet.n_levels

    def ours() -> np.ndarray:
        with torch.no_grad():
            return case.unet(case.features, Maps.build(case.coords, levels)).numpy()

    def through_torch() -> np.ndarray:
        with only_torch():
            return ours()

    def through_onnx() -> np.ndarray:
        feeds = {"features": case.features.numpy(), **sparse_feeds(case.coords, levels)}
        return session.run(None, feeds)[0]

    engines = {"onnx": through_onnx, "torch": through_torch}
    if native.library() is not None:
        engines["native"] = ours
    if (peer := spconv_unet()) is not None:
        network = peer(case.unet)
        network.unet.eval()

        def through_spconv() -> np.ndarray:
            with torch.no_grad():
                return network(case.features, case.rows).numpy()

        engines["spconv"] = through_spconv
    return engines


def forward(case: Case, threads: int, repeats: int, exact: torch.Tensor) -> dict[str, dict]:
    torch.set_num_threads(threads)
    engines = forward_engines(case, threads)
    errors = {name: float(np.abs(run() - exact.numpy()).max()) for name, run in engines.items()}
    times = in_turns(engines, repeats, clock_of(threads))
    return {name: {"ms": times[name], "error": errors[name]} for name in engines}


def training(case: Case, threads: int, repeats: int) -> dict[str, float]:
    """Maps, forward and backward; spconv on its one thread, ours on `threads`."""
    case.unet.train()
    direction = torch.randn(len(case.coords), case.unet.width)

    def step(network: Callable[[], torch.Tensor]) -> Callable[[], None]:
        return lambda: network().backward(direction)

    def ours() -> torch.Tensor:
        return case.unet(case.features, Maps.build(case.coords, case.unet.n_levels))

    def torch_step() -> None:
        with only_torch():
            step(ours)()

    torch.set_num_threads(threads)
    engines: dict[str, Callable[[], None]] = {"torch": torch_step}
    if native.library() is not None:
        engines["native"] = step(ours)
    if (peer := spconv_unet()) is not None:
        network = peer(case.unet)
        network.unet.train()

        def spconv_step() -> None:
            torch.set_num_threads(1)
            step(lambda: network(case.features, case.rows))()
            torch.set_num_threads(threads)

        engines["spconv"] = spconv_step
    times = in_turns(engines, repeats, clock_of(threads))
    case.unet.eval()
    return {f"{name}_ms": value for name, value in times.items()}


def native_alone(case: Case, threads: int, repeats: int) -> float:
    """Seconds of one forward pass with its maps already made."""
    torch.set_num_threads(threads)
    maps = Maps.build(case.coords, case.unet.n_levels)
    with torch.no_grad():
        return median(lambda: case.unet(case.features, maps), repeats) / 1e3


def products(case: Case) -> int:
    """Multiplications that valid pairs need in one forward pass."""
    total = 0

    def count(module: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, torch.nn.Linear):
            total += len(inputs[0]) * module.weight.numel()
        else:
            level, (_, c_in, c_out) = inputs[1], module.weight.shape
            kind = {"SubmanifoldConv": "same", "DownConv": "down", "UpConv": "up"}
            pairs = getattr(level, kind[type(module).__name__])
            total += len(pairs.inputs) * c_in * c_out

    hooks = [
        module.register_forward_hook(count)
        for module in case.unet.modules()
        if type(module).__name__ in ("SubmanifoldConv", "DownConv", "UpConv", "Linear")
    ]
    with torch.no_grad():
        case.unet(case.features, Maps.build(case.coords, case.unet.n_levels))
    for hook in hooks:
        hook.remove()
    return total


def sgemm_peak(threads: int) -> float:
    """Multiply-adds a second of a large matrix product, times two."""
    torch.set_num_threads(threads)
    a, b = torch.randn(1536, 1536), torch.randn(1536, 1536)
    best = min(once(lambda: torch.mm(a, b)) for _ in range(9))
    return 2 * 1536**3 / (best / 1e3)


def peak_memory(case: Case, engine: str, threads: int) -> float:
    """Megabytes that one forward pass adds to a process with the network loaded."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_growth, (case, engine, threads))


def _growth(case: Case, engine: str, threads: int) -> float:
    torch.set_num_threads(threads)
    run = forward_engines(case, threads)[engine]
    sheet = np.stack(np.meshgrid(np.arange(8), np.arange(8), [0], indexing="ij"), -1).reshape(-1, 3)
    small = Case("warm-up", sheet.astype(np.int32), case.unet, case.onnx)
    forward_engines(small, threads)[engine]()  # compiles; the libraries' own memory is taken
    before = resident_peak()
    run()
    return round((resident_peak() - before) / 1024, 1)


def resident_peak() -> int:
    """Kilobytes; getrusage would tell the peak of the parent process too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def in_turns(
    engines: dict[str, Callable[[], object]], repeats: int, clock: Callable[[], float]
) -> dict[str, float]:
    for run in engines.values():
        run()
    times = [[once(run, clock) for run in engines.values()] for _ in range(repeats)]
    return {
        name: round(statistics.median(row), 2)
        for name, row in zip(engines, zip(*times, strict=True), strict=True)
    }


def median(run: Callable[[], object], repeats: int) -> float:
    return in_turns({"": run}, repeats, time.perf_counter)[""]


def once(run: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    begin = clock()
    run()
    return (clock() - begin) * 1e3


def clock_of(threads: int) -> Callable[[], float]:
    return time.process_time if threads == 1 else time.perf_counter


def spconv_unet() -> type | None:
    warnings.filterwarnings("ignore", category=FutureWarning)  # spconv's, at its import
    try:
        from spconv_unet import SpconvUNet
    except ImportError:
        return None
    return SpconvUNet


def machine() -> str:
    kernel = native.library()
    vectors = native.INSTRUCTION_SETS[kernel.otoc_instruction_set()] if kernel else "not built"
    return (
        f"{processor()}, {os.cpu_count()} cores, native kernel {vectors}, Python "
        f"{platform.python_version()}, torch {torch.__version__}, onnxruntime "
        f"{onnxruntime.__version__}"
    )


if __name__ == "__main__":
    main()
