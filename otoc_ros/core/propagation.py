"""Spreading class scores over super-voxels: the sparse graph of the method (paper section 3.3).

The energy is E(Y) = Σ_j φ_u(y_j) + Σ_{j~k} φ_p(y_j, y_k) with φ_u = -log P(y_j) and
φ_p = [y_j ≠ y_k] · w · exp(-Σ_s ‖s_j - s_k‖² / 2σ_s²). The paper's graph is dense, M × M × C; ours
joins each super-voxel to a few neighbours only, so memory is linear in M.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.spatial import cKDTree

from otoc_ros.core.compiled import compiled
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.supervoxels import pool

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


class PropagationSettings(BaseModel):
    """The graph and its pairwise terms; σ are in the units of what they divide.

    Without `touching_weight` and `colour_share` it is what bundles had that do not name them.
    The network terms compare unit vectors, so their distance lies in 0..2. With `transformer` no
    graph is made: of all this, `unary_share` and `temperature` alone count.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["graph", "transformer"] = Field(
        default="graph", description="what spreads labels"
    )
    neighbours: int = Field(default=12, ge=1, le=64, description="neighbours of a super-voxel")
    reach: float = Field(default=3.0, gt=0, description="σ of position, in super-voxel sizes")
    colour_sigma: float = Field(default=0.15, gt=0, description="σ of mean colour, rgb in 0..1")
    normal_sigma: float = Field(default=0.6, gt=0, description="σ of the mean normal's direction")
    feature_sigma: float = Field(default=0.5, gt=0, description="σ of the U-Net's unit feature")
    embedding_sigma: float = Field(default=0.5, gt=0, description="σ of the relation embedding")
    weight: float = Field(default=0.5, ge=0, description="w, strength of the pairwise term")
    touching_weight: float = Field(default=0.0, ge=0, description="of an edge without a border")
    colour_share: float = Field(default=0.0, ge=0, description="of a class's colours in the scene")
    unary_share: float = Field(default=0.75, ge=0, le=1, description="α in P_Θ^α · P_R^(1-α)")
    temperature: float = Field(default=1.0, gt=0, description="divides the U-Net's log scores")
    steps: int = Field(default=5, ge=0, le=50, description="mean-field steps")


def neighbour_graph(position: F32, neighbours: int) -> I32:
    """Nearest neighbours of every super-voxel by the distance of their centres.

    Args:
        position: float32 [M, 3], metres.
        neighbours: how many each gets; fewer exist when M is small.

    Returns:
        int32 [M, neighbours]; a missing neighbour is the super-voxel itself, whose message
        `affinities` sets to zero.
    """
    count = len(position)
    own = np.arange(count, dtype=np.int32)[:, None]
    found = np.repeat(own, neighbours, axis=1)
    wanted = min(neighbours, count - 1)
    if wanted > 0:
        _, index = cKDTree(position).query(position, k=wanted + 1)
        # With several centres at one place the first hit need not be the super-voxel itself.
        others = index != own
        others[others.all(axis=1), -1] = False
        found[:, :wanted] = index[others].reshape(count, wanted)
    return found


def affinity_terms(
    prepared: Prepared, feature: F32, embedding: F32, settings: PropagationSettings
) -> tuple[tuple[F32, float], ...]:
    """What makes two super-voxels alike, each with its σ; the first term is the position.

    Args:
        prepared: the cloud.
        feature: float32 [M, D], the U-Net's mean feature of each super-voxel.
        embedding: float32 [M, d], the relation net's.
    """

    def pooled(values: F32) -> F32:
        return pool(values, prepared.supervoxel, prepared.n_supervoxels)

    size = prepared.settings.supervoxel_size
    terms = [
        (pooled(prepared.xyz), settings.reach * size),
        # The sign of a normal means nothing, so that of its parts is dropped.
        (pooled(np.abs(prepared.normal)), settings.normal_sigma),
        (unit_rows(feature), settings.feature_sigma),
        (unit_rows(embedding), settings.embedding_sigma),
    ]
    if prepared.rgb is not None:
        terms.append((pooled(prepared.rgb), settings.colour_sigma))
    return tuple(terms)


def unit_rows(rows: F32) -> F32:
    """Rows scaled to unit length, zero rows left alone: float32 [M, D]."""
    result: F32 = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return result


def affinities(neighbours: I32, *terms: tuple[F32, float]) -> F32:
    """exp(-Σ_s ‖s_j - s_k‖² / 2σ_s²) for every edge of the graph (paper eq. 5).

    Args:
        neighbours: int32 [M, K], from `neighbour_graph`.
        terms: pairs of (float32 [M, D], σ).

    Returns:
        float32 [M, K] in 0..1; zero where a super-voxel stands in for a missing neighbour.
    """
    exponent = np.zeros(neighbours.shape, np.float32)
    for values, sigma in terms:
        exponent += _squared_distances(np.ascontiguousarray(values, np.float32), neighbours) / (
            2 * np.float32(sigma) ** 2
        )
    affinity = np.exp(-exponent)
    affinity[neighbours == np.arange(len(neighbours))[:, None]] = 0
    return affinity


@compiled
def _squared_distances(values: F32, neighbours: I32) -> F32:
    distances = np.empty(neighbours.shape, np.float32)
    for row in range(len(neighbours)):
        for slot in range(neighbours.shape[1]):
            other = neighbours[row, slot]
            total = np.float32(0)
            for column in range(values.shape[1]):
                step = values[row, column] - values[other, column]
                total += step * step
            distances[row, slot] = total
    return distances


def mean_field(log_unary: F32, neighbours: I32, affinity: F32, weight: float, steps: int) -> F32:
    """Mean-field inference of the Potts energy above.

    Each step sets Q_j ∝ exp(log P_j + w · Σ_k a_jk Q_k).

    Args:
        log_unary: float32 [M, C], log P(y_j); rows need not be normalised.
        neighbours: int32 [M, K].
        affinity: float32 [M, K].
        weight: w.
        steps: iterations; 0 gives the softmax of log_unary.

    Returns:
        float32 [M, C], rows sum to 1.
    """
    unary = np.ascontiguousarray(log_unary, np.float32)
    belief: F32 = _softmax_rows(unary)
    for _ in range(steps):
        belief = _softmax_rows(_with_messages(unary, belief, neighbours, affinity, weight))
    return belief


@compiled
def _with_messages(unary: F32, belief: F32, neighbours: I32, affinity: F32, weight: float) -> F32:
    total = unary.copy()
    strength = np.float32(weight)
    for row in range(len(neighbours)):
        for slot in range(neighbours.shape[1]):
            share = strength * affinity[row, slot]
            if share > 0:
                other = neighbours[row, slot]
                for column in range(unary.shape[1]):
                    total[row, column] += share * belief[other, column]
    return total


@compiled
def _softmax_rows(scores: F32) -> F32:
    result = np.empty_like(scores)
    for row in range(len(scores)):
        top = scores[row].max()
        total = np.float32(0)
        for column in range(scores.shape[1]):
            result[row, column] = np.exp(scores[row, column] - top)
            total += result[row, column]
        result[row] /= total
    return result


def fuse(log_theta: F32, similarity: F32, settings: PropagationSettings) -> F32:
    """log of P_Θ^α · P_R^(1-α), renormalised (paper section 3.4; α = 1/2 is its plain product).

    Args:
        log_theta: float32 [M, C], mean log-probability of a super-voxel's voxels under the U-Net.
        similarity: float32 [M, C], f_j · k_c / τ from the relation net.
    """
    share = np.float32(settings.unary_share)
    scores = share * log_softmax(log_theta / np.float32(settings.temperature))
    scores += (1 - share) * log_softmax(similarity)
    fused: F32 = log_softmax(scores)
    return fused


def log_softmax(scores: F32) -> F32:
    """Scores of classes as log-probabilities: float32 [M, C]."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    result: F32 = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
