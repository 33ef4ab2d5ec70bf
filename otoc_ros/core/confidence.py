"""What a probability is worth: the temperature that makes a network's confidence come true."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from otoc_ros.core.propagation import log_softmax

F32 = NDArray[np.float32]


class ConfidenceSettings(BaseModel):
    """How the beliefs of a bundle become confidence; fitted where it was trained, on clicks.

    Attributes:
        temperature: divides log-probabilities; above 1 where the networks are too sure.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)


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
