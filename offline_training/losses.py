"""What the networks are trained to do."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from offline_training.networks import RelationNet, SemanticNet, SemanticOutput, pool_rows
from offline_training.samples import Batch

OFFSET_SHARE = 0.25  # of both parts, each about 1 at first, so that classes come first


class Losses(NamedTuple):
    """Scalars of one step; `total` is what is minimised."""

    total: Tensor
    semantic: Tensor
    offset: Tensor
    contrast: Tensor
    guidance: Tensor


def step_losses(
    theta: SemanticNet,
    relation: RelationNet,
    batch: Batch,
    class_weight: Tensor,
    guidance_share: float,
) -> Losses:
    """All losses of one batch; the bank of `relation` follows the batch's embeddings.

    Args:
        class_weight: float32 [C].
        guidance_share: weight of the unary-guided KL term; 0 in the first round, when the U-Net
            knows too little to guide.
    """
    output = theta(batch.features, batch.maps)
    weight = batch.weight * class_weight[batch.label.clamp(min=0)] * (batch.label >= 0)
    semantic = semantic_loss(output.logits, batch.label, weight)
    offset = offset_loss(output.offset, batch.offset)
    contrast, guidance = relation_losses(relation, output, batch, class_weight, guidance_share > 0)
    total = semantic + offset + contrast + guidance_share * guidance
    return Losses(total, semantic, offset, contrast, guidance)


def semantic_loss(logits: Tensor, label: Tensor, weight: Tensor) -> Tensor:
    """L_s: weighted mean cross-entropy over labelled voxels (paper eq. 1)."""
    each = functional.cross_entropy(logits, label.clamp(min=0), reduction="none")
    return (each * weight).sum() / weight.sum().clamp(min=1e-6)


def offset_loss(offset: Tensor, target: Tensor) -> Tensor:
    """L_norm + L_dir over thing voxels with a known centre (PointGroup eq. 2 and 3).

    L_norm is relative to the mean length of what is wanted, so that cups on a table teach as much
    as sofas in a room, and as much as the classes do.
    """
    known = torch.isfinite(target).all(dim=1)
    if not known.any():
        return offset.sum() * 0
    found, wanted = offset[known], target[known]
    scale = wanted.abs().sum(dim=1).mean().clamp(min=1e-3)
    distance = (found - wanted).abs().sum(dim=1).mean() / scale
    direction = functional.cosine_similarity(found, wanted, dim=1, eps=1e-3).mean()
    return OFFSET_SHARE * (distance + 1 - direction)


def relation_losses(
    relation: RelationNet,
    output: SemanticOutput,
    batch: Batch,
    class_weight: Tensor,
    guided: bool,
) -> tuple[Tensor, Tensor]:
    """L_c on labelled super-voxels (paper eq. 3) and KL(P_Θ ‖ P_R) on the others.

    Θ learns from L_c through its features; KL leaves it alone.
    """
    bank = relation.bank
    zero = output.feature.sum() * 0
    inside = batch.supervoxel >= 0
    if not inside.any():
        return zero, zero
    rows, count = batch.supervoxel[inside], batch.n_supervoxels
    described = pool_rows(torch.cat([output.feature, batch.features], dim=1)[inside], rows, count)
    label = torch.full((count,), -1, device=rows.device).scatter(0, rows, batch.label[inside])
    trust = described.new_zeros(count).scatter(0, rows, batch.weight[inside])
    labelled = label >= 0
    contrast = guidance = zero
    if labelled.any():
        embedding, name = relation(described[labelled]), label[labelled]
        bank.update(embedding.detach(), name)
        each = functional.cross_entropy(bank.scores(embedding), name, reduction="none")
        weight = trust[labelled] * class_weight[name]
        contrast = (each * weight).sum() / weight.sum().clamp(min=1e-6)
    if guided and bank.seen.any() and not labelled.all():
        probability = functional.softmax(output.logits.detach()[inside], dim=1)
        target = pool_rows(probability, rows, count)[~labelled][:, bank.seen]
        target = target / target.sum(dim=1, keepdim=True).clamp(min=1e-6)
        scores = bank.scores(relation(described[~labelled].detach()))[:, bank.seen]
        found = functional.log_softmax(scores, dim=1)
        guidance = functional.kl_div(found, target, reduction="batchmean")
    return contrast, guidance
