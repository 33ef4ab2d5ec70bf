"""The optimiser steps of one round."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from offline_training import parallel
from offline_training.checkpoint import load_progress, save_progress
from offline_training.losses import Losses, step_losses
from offline_training.model import Networks
from offline_training.muon import Muon
from offline_training.samples import Targets, draw_batch
from offline_training.scenes import TrainingScene
from offline_training.settings import TrainingSettings
from offline_training.sparse import SparseConv
from otoc_ros.core.preprocess import Preprocessing

SAVE_EVERY = 100  # steps between two saves of the progress of a round
WEIGHT_DECAY = 1e-3
# Of the settings' learning rate. A step of AdamW changes weights by about 0.2 of it.
RATE = {"convolutions": 0.4, "others": 1.0}


class Interrupted(Exception):
    """Training stopped at a person's wish; everything up to here is saved."""


def optimise(
    number: int,
    settings: TrainingSettings,
    networks: Networks,
    scenes: Sequence[TrainingScene],
    targets: Sequence[Targets],
    prepared: Preprocessing,
    class_weight: Tensor,
    saved: Path,
    pace: int,
    stop: list[bool],
    advance: Callable[[int], object],
) -> list[list[float]]:
    """Train the networks for one round.

    Args:
        number: of the round. scenes, targets: each with a label at least, in the same order.
        class_weight: float32 [C], from `class_weights`.
        saved: where progress is kept, and found again.
        pace: rounds for which the learning rate falls in this one; 1, or more in a last round that
            comes early.
        stop: whose first entry says that a person wants to stop after the present step.
        advance: told how many steps were done.

    Returns:
        the losses of each step, as in `Losses`.

    Raises:
        Interrupted: because of `stop`; the step was finished and saved.
    """
    device = next(networks.theta.parameters()).device
    class_weight = class_weight.to(device)
    parameters = [p for network in networks.named().values() for p in network.parameters()]
    optimizers = _optimizers(networks, parameters)
    # Half precision knows no gradient below 6e-8: losses are scaled up, gradients down again.
    scaler = torch.amp.GradScaler(device.type, enabled=settings.mixed)
    found = load_progress(saved, networks.named(), optimizers, scaler) if saved.exists() else []
    advance(len(found))
    for network in networks.named().values():
        network.train()
    for step in range(len(found), settings.steps):
        # A generator of its own for every step: resuming needs no state of it.
        rng = np.random.default_rng([settings.seed, number, step])
        torch.manual_seed(int(rng.integers(2**62)) + parallel.rank())  # of dropout
        batch = draw_batch(
            scenes, targets, prepared, settings.crops, settings.levels, settings.max_voxels,
            settings.colourless, settings.views, rng, device,
        )  # fmt: skip
        rate = settings.learning_rate * _warm_cosine(
            (number * settings.steps + pace * step) / (settings.rounds * settings.steps)
        )
        for name, optimizer in optimizers.items():
            optimizer.param_groups[0]["lr"] = rate * RATE[name]
            optimizer.zero_grad(set_to_none=True)
        guided = min(1.0, float(number))
        losses = step_losses(networks, batch, class_weight, guided, settings.mixed)
        scaler.scale(losses.total).backward()  # type: ignore[no-untyped-call]
        parallel.add_gradients(parameters)
        for optimizer in optimizers.values():
            scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(parameters, 10.0)
        if torch.isfinite(norm):  # in half precision too large a scale overflows; it falls below
            for optimizer in optimizers.values():
                optimizer.step()
        scaler.update()
        asked = torch.tensor(float(stop[0]), device=device)
        known: list[float] = parallel.total(torch.stack([*losses, asked])).tolist()
        found.append(known[:-1])
        wanted = known[-1] > 0
        advance(1)
        if parallel.rank() == 0 and (wanted or (step + 1) % SAVE_EVERY == 0):
            save_progress(saved, networks.named(), optimizers, scaler, found)
        if wanted:
            raise Interrupted(
                f"stopped in round {number + 1} after step {step + 1} of {settings.steps}; "
                "go on with --resume"
            )
    return found


def _optimizers(
    networks: Networks, parameters: Sequence[torch.nn.Parameter]
) -> dict[str, torch.optim.Optimizer]:
    """One for the weights of convolutions, one for all others; their rates are set every step.

    With Muon `small` learns in 2 400 steps, each a quarter longer, what took AdamW alone 4 800.
    """
    modules = [each for network in networks.named().values() for each in network.modules()]
    convolutions = [each.weight for each in modules if isinstance(each, SparseConv)]
    taken = {id(weight) for weight in convolutions}
    others = [parameter for parameter in parameters if id(parameter) not in taken]
    return {
        "convolutions": Muon(convolutions, lr=0.0, weight_decay=WEIGHT_DECAY),
        # Fused: a sixth of a step went into its many small operations.
        "others": torch.optim.AdamW(others, lr=0.0, weight_decay=WEIGHT_DECAY, fused=True),
    }


def mean_losses(found: Sequence[Sequence[float]]) -> dict[str, float]:
    """The mean of each loss over the last steps, by name."""
    if not found:
        return {}
    means = np.mean(found[-50:], axis=0)
    return {name: round(float(mean), 4) for name, mean in zip(Losses._fields, means, strict=True)}


def class_weights(targets: Sequence[Targets], area: NDArray[np.float64]) -> Tensor:
    """Weight of a labelled voxel of each class in the losses: float32 [C], mean about 1.

    Together the voxels of a class weigh the square root of the class's area, however few of them
    are labelled: a wall of which one super-voxel was clicked is still most of the room.
    """
    count = np.zeros(len(area))
    for target in targets:
        count += np.bincount(target.label[target.label >= 0], minlength=len(area))
    weight = np.where(count > 0, np.sqrt(area) / np.maximum(count, 1), 0)
    weight /= (weight * count).sum() / count.sum()
    return torch.from_numpy(weight.astype(np.float32))


def _warm_cosine(share: float) -> float:
    """Learning rate over all rounds, as a share of its peak; a restart would cost what the networks
    know just when better labels arrive."""
    return min(1.0, (share + 0.002) / 0.05) * 0.5 * (1 + math.cos(math.pi * share))
