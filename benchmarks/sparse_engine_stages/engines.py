"""The same U-Net on every engine, as functions of nothing that can be timed."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from offline_training.export import write_sparse_onnx
from offline_training.settings import PRESETS
from offline_training.sparse import Maps, only_torch
from offline_training.unet import UNet
from otoc_ros.core import native
from otoc_ros.core.native_network import NativeNetwork
from otoc_ros.core.onnx_file import read_onnx
from otoc_ros.core.pairs import sparse_pairs
from otoc_ros.core.sparse_feeds import sparse_feeds

CHANNELS = 6
Run = Callable[[], object]


@dataclass
class Case:
    """A cloud and a network; the ONNX file lies in a temporary folder."""

    name: str
    coords: np.ndarray
    unet: UNet
    onnx: Path

    def __post_init__(self) -> None:
        random = torch.Generator().manual_seed(len(self.coords))
        self.features = torch.randn(len(self.coords), CHANNELS, generator=random)
        self.rows = torch.from_numpy(np.insert(self.coords, 0, 0, axis=1).astype(np.int32))


def make_case(name: str, coords: np.ndarray, preset: str, seed: int, folder: Path) -> Case:
    """A settled network of a preset, written to a folder."""
    size = PRESETS[preset]
    torch.manual_seed(seed)
    unet = UNet(CHANNELS, size.width, size.levels)
    settle(unet, coords)
    case = Case(name, coords, unet, folder / "unet.onnx")
    write_sparse_onnx(case.onnx, unet, {"feature": torch.nn.Identity()}, CHANNELS, {})
    return case


def settle(unet: UNet, coords: np.ndarray) -> None:
    """Batch norms as after some training, so that activations neither vanish nor explode."""
    maps = Maps.build(coords, unet.n_levels)
    with torch.no_grad():
        for _ in range(3):
            unet(torch.randn(len(coords), CHANNELS), maps)
    unet.eval()


def forward_engines(case: Case, threads: int) -> dict[str, Callable[[], np.ndarray]]:
    """From the case's coordinates and features to features, by engine; maps included."""
    levels = case.unet.n_levels

    def through_torch() -> np.ndarray:
        torch.set_num_threads(threads)
        with torch.no_grad(), only_torch():
            return case.unet(case.features, Maps.build(case.coords, levels)).numpy()

    engines = {"torch": through_torch}
    for name, run in live_engines(case.onnx, levels, threads).items():
        engines[name] = partial(run, case.features.numpy(), case.coords)
    if (peer := spconv_unet()) is not None:
        network = peer(case.unet)
        network.unet.eval()

        def through_spconv() -> np.ndarray:
            torch.set_num_threads(threads)
            with torch.no_grad(), only_torch():
                return network(case.features, case.rows).numpy()

        engines["spconv"] = through_spconv
    return engines


def live_engines(
    path: Path, levels: int, threads: int
) -> dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """What a robot runs of one file, from features and coordinates to the first output."""
    session = onnx_session(path, threads)

    def through_onnx(features: np.ndarray, coords: np.ndarray) -> np.ndarray:
        return session.run(None, {"features": features, **sparse_feeds(coords, levels)})[0]

    engines = {"onnx": through_onnx}
    if native.library() is not None:
        network = NativeNetwork(read_onnx(path.read_bytes()), threads)

        def through_native(features: np.ndarray, coords: np.ndarray) -> np.ndarray:
            found = network({"features": features, **sparse_pairs(coords, levels)})
            return next(iter(found.values()))

        engines["native"] = through_native
    return engines


def training_engines(case: Case, threads: int) -> dict[str, Run]:
    """Maps, forward and backward, by engine."""
    direction = torch.randn(len(case.coords), case.unet.width)

    def step(network: Callable[[], torch.Tensor], unet: UNet) -> Run:
        def run() -> None:
            torch.set_num_threads(threads)
            unet.train()
            unet.zero_grad(set_to_none=True)
            network().backward(direction)

        return run

    def ours() -> torch.Tensor:
        return case.unet(case.features, Maps.build(case.coords, case.unet.n_levels))

    engines = {"torch": without_kernel(step(ours, case.unet))}
    if native.library() is not None:
        engines["native"] = step(ours, case.unet)
    if (peer := spconv_unet()) is not None:
        network = peer(case.unet)
        spconv_step = step(lambda: network(case.features, case.rows), network.unet)
        engines["spconv"] = without_kernel(spconv_step)
    return engines


def without_kernel(step: Run) -> Run:
    """The step with our kernel taken away."""

    def run() -> None:
        with only_torch():
            step()

    return run


def onnx_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


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


def spconv_unet() -> type | None:
    warnings.filterwarnings("ignore", category=FutureWarning)  # spconv's, at its import
    try:
        from spconv_unet import SpconvUNet
    except ImportError:
        return None
    return SpconvUNet


def spconv_pairs(case: Case) -> Run | None:
    """spconv's index pairs of all levels, which it makes on one thread."""
    if spconv_unet() is None:
        return None
    from spconv_unet import index_pairs

    return lambda: index_pairs(case.rows, case.unet.n_levels)
