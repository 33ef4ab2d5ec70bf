"""The measurements of one cloud and one network; each returns fields of its row."""

import hashlib
import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from offline_training.sparse import Maps
from otoc_ros.core import native
from otoc_ros.core.native_network import NativeNetwork
from otoc_ros.core.onnx_file import read_onnx
from otoc_ros.core.pairs import sparse_pairs
from otoc_ros.core.sparse_feeds import sparse_feeds
from otoc_ros.core.voxels import kernel_maps
from sparse_engine_stages.clocks import Turns, clock_of, median
from sparse_engine_stages.engines import (
    Case,
    forward_engines,
    products,
    spconv_pairs,
    training_engines,
)
from sparse_engine_stages.memory import peak_memory

SGEMM = 1536  # rows and columns of the matrices that tell the machine's peak


@dataclass(frozen=True)
class Plan:
    """How to measure.

    Attributes:
        threads: of ours; one is measured too.
        turns: how many count.
        until: `time.monotonic()` after which no turn begins.
        cache: folder of what was measured before.
        code: digest of the code that was measured.
    """

    threads: int
    turns: int
    until: float
    cache: Path
    code: str

    def kept(self, *key: object) -> Path:
        """The file of one measurement."""
        digest = hashlib.sha256(json.dumps([self.code, *map(str, key)]).encode()).hexdigest()
        return self.cache / f"engine-{digest[:20]}.json"

    def take(self, engines: dict, *key: object) -> dict[str, list[float]]:
        return Turns(self.kept(*key)).take(engines, self.turns, self.until)


def forward(case: Case, plan: Plan) -> dict:
    """Every engine on many threads and on one, from coordinates to features."""
    many, one = forward_engines(case, plan.threads), forward_engines(case, 1)
    engines = {name: (run, clock_of(plan.threads)) for name, run in many.items()}
    engines |= {f"{name} alone": (run, clock_of(1)) for name, run in one.items()}
    times = plan.take(engines, "forward", case.name, case.unet.width, plan.threads)
    fields: dict = {"voxels": len(case.coords), "threads": plan.threads}
    fields |= {f"{name}_ms": median(times[name]) for name in many if name != "spconv"}
    fields["one_thread"] = {f"{name}_ms": median(times[f"{name} alone"]) for name in one}
    errors = _errors(case, many, one, plan)
    fields["max_abs_err"] = max(errors[name] for name in many if name != "spconv")
    if "spconv" in many:
        fields["spconv_ms"] = median(times["spconv alone"])
        fields["spconv_err"] = errors["spconv alone"]
        fields["spconv_threads"] = {"ms": median(times["spconv"]), "err": errors["spconv"]}
    return fields | _told("forward", times)


def _errors(case: Case, many: dict, one: dict, plan: Plan) -> dict[str, float]:
    """The largest difference to the network in float64."""
    file = plan.kept("errors", case.name, case.unet.width, plan.threads)
    if not file.exists():
        with torch.no_grad():
            maps = Maps.build(case.coords, case.unet.n_levels)
            exact = case.unet.double()(case.features.double(), maps).float().numpy()
        case.unet.float()
        runs = many | ({"spconv alone": one["spconv"]} if "spconv" in one else {})
        file.write_text(
            json.dumps({name: float(np.abs(run() - exact).max()) for name, run in runs.items()})
        )
    return json.loads(file.read_text())


def train(case: Case, plan: Plan) -> dict:
    """Maps, forward and backward; spconv on its one thread."""
    many, one = training_engines(case, plan.threads), training_engines(case, 1)
    many.pop("spconv", None)
    engines = {name: (run, clock_of(plan.threads)) for name, run in many.items()}
    engines |= {f"{name} alone": (run, clock_of(1)) for name, run in one.items()}
    times = plan.take(engines, "train", case.name, case.unet.width, plan.threads)
    case.unet.eval()
    alone = {f"{name}_ms": median(times[f"{name} alone"]) for name in one}
    fields = {f"{name}_ms": median(times[name]) for name in many}
    if "spconv_ms" in alone:
        fields["spconv_ms"] = alone["spconv_ms"]
    return {"train": fields, "train_one_thread": alone} | _told("train", times)


def maps(case: Case, plan: Plan) -> dict:
    """Kernel maps, maps with groups and feeds, spconv's pairs; the kernel's share of the peak."""
    levels = case.unet.n_levels
    a, b = torch.randn(2, SGEMM, SGEMM)
    feeds = {"features": case.features.numpy(), **sparse_pairs(case.coords, levels)}

    def sgemm(threads: int) -> None:
        torch.set_num_threads(threads)
        torch.mm(a, b)

    engines: dict = {
        "maps": (lambda: kernel_maps(case.coords, levels), time.process_time),
        "feeds": (lambda: sparse_feeds(case.coords, levels), time.process_time),
        "pairs": (lambda: sparse_pairs(case.coords, levels), time.process_time),
    }
    if (peer := spconv_pairs(case)) is not None:
        engines["spconv"] = (peer, time.process_time)
    threads_of = {"": plan.threads, " alone": 1}
    for name, threads in threads_of.items():
        engines |= {f"sgemm{name}": (partial(sgemm, threads), clock_of(threads))}
        if native.library() is not None:
            network = NativeNetwork(read_onnx(case.onnx.read_bytes()), threads)
            engines |= {f"network{name}": (partial(network, feeds), clock_of(threads))}
    times = plan.take(engines, "maps", case.name, case.unet.width, plan.threads)
    if not times["maps"]:
        return {}
    fields: dict = {
        "maps_ms": median(times["maps"]),
        "feeds_ms": median(times["feeds"]),
        "native_maps_ms": median(times["pairs"]),
    }
    if "spconv" in times:
        fields["spconv_maps_ms"] = median(times["spconv"])
    peak = {name: 2e-6 * SGEMM**3 / min(times[f"sgemm{name}"]) for name in threads_of}
    fields["sgemm_gflops"] = [round(value, 1) for value in peak.values()]
    if native.library() is not None:
        wanted = 2e-6 * products(case)
        shares = [wanted / median(times[f"network{name}"]) / peak[name] for name in threads_of]
        fields["roofline"], fields["roofline_one_thread"] = (round(share, 3) for share in shares)
    return fields | _told("maps", times)


def memory(case: Case, plan: Plan, engines: tuple[str, ...] = ()) -> dict:
    """Megabytes of one forward pass, of all engines or those named."""
    file = plan.kept("memory", case.name, case.unet.width, plan.threads)
    if not file.exists():
        if time.monotonic() >= plan.until:
            return {}
        names = engines or tuple(forward_engines(case, 1))
        grown = {name: peak_memory(case, name, plan.threads) for name in names}
        file.write_text(json.dumps(grown))
    return {"peak_mb": json.loads(file.read_text())}


def _told(stage: str, times: dict[str, list[float]]) -> dict:
    """How well a stage was measured."""
    others = max(times["others"], default=None)
    return {f"{stage}_turns": len(times["others"]), f"{stage}_others": others}
