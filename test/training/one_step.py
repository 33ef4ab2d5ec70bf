"""The gradient of one training step, by as many processes as torchrun starts.

torchrun one_step.py SITE RESULT
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from offline_training import parallel
from offline_training.labels import true_targets
from offline_training.losses import step_losses
from offline_training.model import Networks
from offline_training.rounds import preprocessing
from offline_training.samples import draw_batch
from offline_training.scenes import load_scene, voxel_truth
from offline_training.settings import preset
from otoc_ros.site.site import Site

THING = np.array([False, True, True])


def one_step(
    site: Site, kind: str = "transformer", dtype: torch.dtype = torch.float64, mixed: bool = False
) -> dict[str, torch.Tensor]:
    """Losses, gradients and what batch norms and the bank learnt in one step over four crops.

    In float64: ReLUs near zero and the sharp softmax over prototypes make much of rounding.
    """
    settings = preset("tiny")
    settings = settings.model_copy(
        update={
            "width": 8, "levels": 3, "crops": 4, "max_voxels": 6000,
            "propagation": settings.propagation.model_copy(update={"kind": kind}),
        }
    )  # fmt: skip
    networks = Networks.fresh(site, settings, torch.device("cpu"))
    for network in networks.named().values():
        network.train().to(dtype)
        for module in network.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0  # falls differently in every process
    scenes, targets = [], []
    for scene in site.scenes():
        loaded = load_scene(scene, preprocessing(site))
        target = true_targets(loaded.prepared, voxel_truth(scene, loaded.prepared), THING)
        target.label[::3] = -1  # so that something is left to guide
        scenes.append(loaded), targets.append(target)
    batch = draw_batch(
        scenes, targets, preprocessing(site), settings.crops, settings.levels, settings.max_voxels,
        0.1, 0.5, np.random.default_rng(0), torch.device("cpu"),
    )  # fmt: skip
    floats = ("features", "weight", "offset")
    batch = replace(batch, **{name: getattr(batch, name).to(dtype) for name in floats})
    class_weight = torch.tensor([0.5, 1.0, 2.0], dtype=dtype)
    losses = step_losses(networks, batch, class_weight, 1.0, mixed)
    losses.total.backward()
    found = dict(zip(losses._fields, parallel.total(torch.stack(losses)), strict=True))
    parameters = {
        f"{name}.{key}": value
        for name, network in networks.named().items()
        for key, value in network.named_parameters()
    }
    parallel.add_gradients(parameters.values())
    found |= {f"gradient {name}": value.grad for name, value in parameters.items()}
    for name, network in networks.named().items():
        found |= {f"{name}.{key}": value for key, value in network.named_buffers()}
    return {name: value.detach().clone() for name, value in found.items()}


if __name__ == "__main__":
    parallel.join(torch.device("cpu"))
    result = one_step(Site.open(Path(sys.argv[1])))
    if parallel.rank() == 0:
        safetensors.torch.save_file(result, sys.argv[2])
