"""What trained networks believe of a scene's super-voxels, before and after propagation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from offline_training.labels import PERSON, SceneLabels
from offline_training.networks import PrototypeBank, RelationNet, SemanticNet
from offline_training.scenes import Mark, TrainingScene
from offline_training.sparse import Maps
from offline_training.transformer import TransformerPropagation
from otoc_ros.core.confidence import strangeness
from otoc_ros.core.label_graph import label_graph, near_graph
from otoc_ros.core.look import Look
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.propagation import (
    PropagationSettings,
    fuse,
    log_softmax,
    mean_field,
)
from otoc_ros.core.scene_colours import with_scene_colours
from otoc_ros.core.supervoxels import Pooling, pool
from otoc_ros.core.tiling import tiles

F32 = NDArray[np.float32]

CERTAIN = 0.98  # probability of a person's label in propagation; the rest is spread evenly


@dataclass(frozen=True, eq=False)
class NetworkScores:
    """Per super-voxel: log_theta float32 [M, C], of Θ or of the transformer that propagates it;
    feature [M, width], embedding [M, d], similarity f_j · k_c / τ + the bank's bias [M, C]."""

    log_theta: F32
    feature: F32
    embedding: F32
    similarity: F32


@torch.no_grad()
def network_scores(
    theta: SemanticNet, relation: RelationNet, prepared: Prepared, device: torch.device
) -> NetworkScores:
    """Run both networks over a whole scene; what they say of its super-voxels."""
    theta.eval(), relation.eval()
    features, logs = Pooling(prepared.n_supervoxels), Pooling(prepared.n_supervoxels)
    for tile in tiles(prepared.grid.coords, theta.unet.n_levels):
        maps = Maps.build(prepared.grid.coords[tile.rows], theta.unet.n_levels, device)
        output = theta(torch.from_numpy(prepared.features[tile.rows]).to(device), maps)
        ids = prepared.supervoxel[tile.rows[tile.core]]
        features.add(output.feature.cpu().numpy()[tile.core], ids)
        log_theta = functional.log_softmax(output.logits, dim=1)
        logs.add(log_theta.cpu().numpy()[tile.core], ids)
    feature = features.mean()
    shown = pool(prepared.features, prepared.supervoxel, prepared.n_supervoxels)
    described = np.concatenate([feature, shown], axis=1)
    embedding = relation(torch.from_numpy(described).to(device)).cpu().numpy()
    return NetworkScores(
        logs.mean(),
        feature,
        embedding,
        similarity(relation.bank, embedding),
    )


@torch.no_grad()
def propagated(
    transformer: TransformerPropagation, bank: PrototypeBank, scores: NetworkScores
) -> NetworkScores:
    """The scores with the transformer's classes in place of Θ's."""
    transformer.eval()
    feature = torch.from_numpy(scores.feature).to(bank.prototype.device)
    logits = transformer(feature, bank.prototype, bank.seen)
    return replace(scores, log_theta=functional.log_softmax(logits, dim=1).cpu().numpy())


def similarity(bank: PrototypeBank, embedding: F32) -> F32:
    """f_j · k_c / τ + the bank's bias: float32 [M, C]."""
    found = bank.scores(torch.from_numpy(embedding).to(bank.prototype.device)) + bank.bias
    result: F32 = found.cpu().numpy()
    return result


def believe(
    scene: TrainingScene,
    scores: NetworkScores,
    clicked: SceneLabels,
    reach: F32 | None,
    settings: PropagationSettings,
) -> F32:
    """Class probabilities after propagation, a person's labels held fast: float32 [M, C].

    Args:
        reach: float32 [M, C] from `click_reach`, a third factor beside P_Θ and P_R; None where no
            click tells, as live.
    """
    look = Look.of(scene.prepared)
    log_scores = with_scene_colours(scores.log_theta, look, settings)
    log_unary = fuse(log_scores, scores.similarity, settings)
    if reach is not None:
        log_unary = log_unary + reach
    log_unary = _with_people(log_unary, clicked, scene.marks)
    if settings.kind == "transformer":  # has propagated before the fusion
        return np.exp(log_softmax(log_unary))
    graph = label_graph(scene.prepared, look, scores.feature, scores.embedding, settings)
    return mean_field(log_unary, *graph, settings.weight, settings.steps)


def how_strange(
    scene: TrainingScene, scores: NetworkScores, bank: PrototypeBank, settings: PropagationSettings
) -> F32:
    """Strangeness of a scene's super-voxels, as live: float32 [M].

    Args:
        scores: as the networks gave them, before a transformer propagated.
    """
    graph = near_graph(scene.prepared, scores.feature, scores.embedding, settings)
    cosine = scores.embedding @ bank.prototype.cpu().numpy().T
    return strangeness(scores.log_theta, cosine, *graph)


def _with_people(log_unary: F32, clicked: SceneLabels, marks: tuple[Mark, ...]) -> F32:
    classes = log_unary.shape[1]
    log_unary = log_unary.copy()
    for mark in marks:
        if mark.kind == "exclude":
            log_unary[mark.supervoxel, mark.class_id] = np.log(1e-6)
    said = np.flatnonzero(clicked.provenance == PERSON)
    log_unary[said] = np.log((1 - CERTAIN) / max(classes - 1, 1))
    log_unary[said, clicked.label[said]] = np.log(CERTAIN)
    return log_unary
