"""What a training run is made of; stored beside its rounds so that it can be resumed."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from otoc_ros.core.errors import InputError
from otoc_ros.core.propagation import PropagationSettings


class TrainingSettings(BaseModel):
    """One preset, filled in; see `PRESETS` for the three that the command line offers.

    Attributes:
        width, levels: size of the U-Net.
        max_voxels: voxels of one step, over its crops.
        crops: scenes a step looks at.
        rounds: times that labels are propagated and networks trained on them, at most.
        steps: optimiser steps a round.
        settled: share of the labels; where a round changed fewer of them, the next round is the
            last one. Zero plays every round: labels settle before networks do.
        mixed: whether Θ's training steps are computed in half precision, for a GPU.
        learning_rate: its peak; it warms up, then falls to zero over all rounds.
        labels: `clicks`, or `full` for the ground truth of the training scenes.
        colourless: share of crops shown without colour, so that a bundle works without it.
        views: share of crops that are taken from raw views, of scenes that keep some.
        reach: whether beliefs count what a click reaches over like super-voxels, too; without it
            the first round has the clicked super-voxels alone, as in the paper.
        accept: confidence from which a belief becomes a pseudo label.
        floor: the least confidence, for classes of which few pass `accept`.
        shares: share of each class's super-voxels wanted as pseudo labels before the first round
            and after each; the last one holds for all later rounds. Everything is taught: what is
            left out is what is hard, and networks that never saw it guess there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str
    width: int = Field(gt=0)
    levels: int = Field(gt=0)
    max_voxels: int = Field(gt=0)
    crops: int = Field(gt=0)
    rounds: int = Field(ge=1)
    steps: int = Field(ge=1)
    settled: float = Field(default=0.0, ge=0, le=1)
    mixed: bool = False
    learning_rate: float = Field(gt=0)
    labels: Literal["clicks", "full"] = "clicks"
    colourless: float = Field(default=0.1, ge=0, le=1)
    views: float = Field(default=0.5, ge=0, le=1)
    reach: bool = True
    seed: int = Field(default=0, ge=0)
    accept: float = 0.9
    floor: float = 0.0
    shares: tuple[float, ...] = Field(default=(1.0,), min_length=1)
    propagation: PropagationSettings = PropagationSettings(touching_weight=5.0, colour_share=0.4)


PRESETS = {
    "tiny": TrainingSettings(
        preset="tiny", width=16, levels=5, max_voxels=5_000, crops=2,
        rounds=4, steps=900, learning_rate=1e-2,
    ),
    "small": TrainingSettings(
        preset="small", width=16, levels=7, max_voxels=30_000, crops=2,
        rounds=4, steps=2400, learning_rate=3e-3,
    ),
    "base": TrainingSettings(
        preset="base", width=32, levels=7, max_voxels=400_000, crops=4,
        rounds=5, steps=2000, learning_rate=2e-3,
    ),
}  # fmt: skip


def preset(name: str) -> TrainingSettings:
    """A preset by name; InputError where there is none."""
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
