"""What each preset costs, and what networks that share one pass save."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from offline_training.export import write_sparse_onnx
from offline_training.networks import EMBEDDING, HIDDEN
from offline_training.settings import PRESETS
from offline_training.sparse import Maps
from offline_training.unet import UNet, UnitLength
from otoc_ros.core import native
from sparse_engine_stages.cells import Plan
from sparse_engine_stages.clocks import Turns, clock_of, median
from sparse_engine_stages.clouds import grid, nearest, simulated_room
from sparse_engine_stages.engines import CHANNELS, live_engines, settle, without_kernel

CLASSES = 13
VOXEL_SIZE = {"tiny": 0.05, "small": 0.02, "base": 0.02}
VOXELS = {"tiny": 10_000, "small": 30_000, "base": 100_000}  # of a step over two crops, of a cloud
TURNS = {"tiny": 7, "small": 7, "base": 3}


def presets(seed: int, plan: Plan) -> list[dict]:
    """One row a preset.

    step: maps, forward, losses, backward and optimiser over two crops, for the networks of one
    shared U-Net. cloud: one cloud through the exported file, from coordinates to logits. separate:
    as many U-Nets as the paper has, one for logits and offsets, one for the embedding.
    """
    points = simulated_room(seed, plan.cache)["fused"]
    rows = []
    for name, size in VOXELS.items():
        coords = nearest(grid(points, VOXEL_SIZE[name]), size)
        with tempfile.TemporaryDirectory() as folder:
            torch.manual_seed(seed)
            engines = _engines(name, coords, plan.threads, Path(folder))
            file = plan.kept("presets", name, seed, plan.threads)
            times = Turns(file).take(engines, TURNS[name], plan.until)
        row = {"preset": name, "voxels": len(coords), "others": max(times["others"], default=None)}
        rows.append(row | {f"{key}_ms": median(times[key]) for key in engines})
    return rows


def _engines(name: str, coords: np.ndarray, threads: int, folder: Path) -> dict:
    preset = PRESETS[name]
    features = torch.randn(len(coords), CHANNELS)
    unets = [UNet(CHANNELS, preset.width, preset.levels) for _ in range(2)]
    engines: dict[str, Callable[[], object]] = {}
    own_heads = {
        "logits": nn.Linear(preset.width, CLASSES),
        "offset": nn.Sequential(
            nn.Linear(preset.width, preset.width), nn.ReLU(), nn.Linear(preset.width, 3)
        ),
    }
    embedding = {
        "embedding": nn.Sequential(
            nn.Linear(preset.width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, EMBEDDING), UnitLength()
        )
    }
    forms = {
        "shared": [(unets[0], own_heads | embedding)],
        "separate": [(unets[0], own_heads), (unets[1], embedding)],
    }
    for unet in unets:
        settle(unet, coords)
    for form, networks in forms.items():
        parts: dict[str, list] = {}
        for number, (unet, heads) in enumerate(networks):
            path = folder / f"{form}{number}.onnx"
            write_sparse_onnx(path, unet, heads, CHANNELS, {})
            for engine, run in live_engines(path, preset.levels, threads).items():
                parts.setdefault(engine, []).append(run)
        for engine, runs in parts.items():
            engines[f"{form}_{engine}_cloud"] = partial(_all, runs, features.numpy(), coords)
        step = _training_step(networks, features, coords, preset.levels, threads)
        if native.library() is not None:
            engines[f"{form}_native_step"] = step
        engines[f"{form}_torch_step"] = without_kernel(step)
    return {key: (run, clock_of(threads)) for key, run in engines.items()}


def _training_step(
    networks: list[tuple[UNet, dict[str, nn.Module]]],
    features: torch.Tensor,
    coords: np.ndarray,
    levels: int,
    threads: int,
) -> Callable[[], None]:
    half = len(coords) // 2
    batch = np.insert(coords, 0, np.arange(len(coords)) >= half, axis=1)  # two crops
    label = torch.randint(CLASSES, (len(coords),))
    modules = nn.ModuleList(m for unet, heads in networks for m in (unet, *heads.values()))
    optimizer = torch.optim.AdamW(modules.parameters())

    def run() -> None:
        torch.set_num_threads(threads)
        modules.train()
        optimizer.zero_grad(set_to_none=True)
        maps = Maps.build(batch, levels)
        found = {}
        for unet, heads in networks:
            x = unet(features, maps)
            found |= {name: head(x) for name, head in heads.items()}
        loss = functional.cross_entropy(found["logits"], label)
        loss = loss + found["offset"].abs().mean() + found["embedding"][:, 0].mean()
        loss.backward()
        optimizer.step()
        modules.eval()

    return run


def _all(runs: list[Callable], features: np.ndarray, coords: np.ndarray) -> None:
    for run in runs:
        run(features, coords)
