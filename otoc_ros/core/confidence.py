"""What a probability is worth: the temperature that makes a network's confidence come true, and how
strange what it sees is to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from otoc_ros.core.propagation import log_softmax

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

# What a lost cosine weighs beside a lost log-probability: chosen on rooms of the dev split, with
# chair, plant and bookcase left out of training.
LIKENESS_WEIGHT = 2.0


class ConfidenceSettings(BaseModel):
    """How the beliefs of a bundle become confidence; fitted where it was trained, on clicks.

    Attributes:
        temperature: divides log-probabilities; above 1 where the networks are too sure.
        strange_above: strangeness that few of the clicks that training was not shown exceed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    strange_above: float = Field(default=1.0, ge=0, le=1)


def tempered(probability: F32, temperature: float) -> F32:
    """Softmax of log-probabilities over the temperature (Guo et al., arXiv 1706.04599).

    The best class of a row stays the best.

    Args:
        probability: float32 [M, C], rows sum to 1.

    Returns:
        float32 [M, C], rows sum to 1.
    """
    if temperature == 1:
        return probability
    log = np.log(np.maximum(probability, np.float32(1e-30))) / np.float32(temperature)
    result: F32 = np.exp(log_softmax(log))
    return result


def strangeness(log_theta: F32, cosine: F32, neighbours: I32, affinity: F32) -> F32:
    """How unlike all that was learnt each super-voxel is: float32 [M], 0..1.

    1 - P · exp(-w (1 - cos)), with P the U-Net's mean probability of the best class and cos the
    likeness to the nearest prototype; both are averaged over the graph before.

    Args:
        log_theta: float32 [M, C], mean log-probabilities of the classes under the U-Net.
        cosine: float32 [M, B], to every prototype.
        neighbours, affinity: int32 and float32 [M, K], what is near and how alike; K may be 0.
    """
    own = log_softmax(log_theta).max(axis=1)
    own = own - np.float32(LIKENESS_WEIGHT) * (1 - cosine.max(axis=1))
    around = own + (affinity * own[neighbours]).sum(axis=1)
    result: F32 = 1 - np.exp(around / (1 + affinity.sum(axis=1)))
    return np.clip(result, 0, 1)
