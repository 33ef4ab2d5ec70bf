"""The network that comes with the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from offline_training.checkpoint import load_networks
from offline_training.scorer import Scorer
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.seen_borders import SEEN_FEATURES, describe_seen_borders

SHIPPED = Path(__file__).parent / "model.safetensors"
HIDDEN = 256


def new_borders() -> Scorer:
    """A network that has learnt nothing, from `describe_seen_borders` to a logit of the probability
    that one object has both sides."""
    return Scorer(SEEN_FEATURES, HIDDEN)


@cache
def shipped_borders() -> Scorer:
    """The one that comes with the package, made by `tools/train_borders.py`."""
    net = new_borders()
    load_networks(SHIPPED, {"borders": net})
    return net.eval()


@torch.no_grad()
def parting(prepared: Prepared) -> NDArray[np.float64]:
    """-log of the probability that one object has both of a pair in `prepared.borders`, float64
    [E], as `Perception` asks it of a bundle."""
    score = shipped_borders()(torch.from_numpy(describe_seen_borders(prepared)))
    return np.asarray(np.logaddexp(0, -score.double().numpy()), np.float64)
