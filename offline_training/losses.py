"""What the networks are trained to do."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from offline_training.model import Networks
from offline_training.networks import PrototypeBank, RelationNet, SemanticOutput, pool_rows
from offline_training.parallel import gathered, total
from offline_training.samples import Batch
from offline_training.transformer import TransformerPropagation

OFFSET_SHARE = 0.25  # of both parts, each about 1 at first, so that classes come first
# Share of every label that is spread over all classes. A tenth of the pseudo labels is wrong;
# without it networks learn each of them by heart (dev rooms: mIoU 0.476 without, 0.513 with it).
SMOOTHING = 0.1


class Losses(NamedTuple):
    """Scalars of one step; `total` is what is minimised."""

    total: Tensor
    semantic: Tensor
    offset: Tensor
    contrast: Tensor
    guidance: Tensor
    propagation: Tensor


def step_losses(
    networks: Networks,
    batch: Batch,
    class_weight: Tensor,
    guidance_share: float,
    mixed: bool = False,
) -> Losses:
    """All losses of one batch; the bank follows the batch's embeddings.

    With several processes each has a part of the batch, and returns its part of every loss: their
    sums are the losses of the whole.

    Args:
        class_weight: float32 [C].
        guidance_share: weight of the unary-guided KL term; 0 in the first round, when the U-Net
            knows too little to guide.
        mixed: Θ in half precision; all that is compared with labels in full.
    """
    with torch.autocast(batch.features.device.type, torch.float16, enabled=mixed):
        output = networks.theta(batch.features, batch.maps)
    output = SemanticOutput(*(part.to(batch.features.dtype) for part in output))
    weight = batch.weight * class_weight[batch.label.clamp(min=0)] * (batch.label >= 0)
    semantic = semantic_loss(output.logits, batch.label, weight, SMOOTHING)
    offset = offset_loss(output.offset, batch.offset)
    groups = described_supervoxels(output, batch, class_weight)
    contrast, guidance = relation_losses(networks.relation, groups, guidance_share > 0)
    propagation = output.feature.sum() * 0
    if networks.transformer is not None:
        propagation = propagation_loss(networks.transformer, networks.relation.bank, groups)
    whole = semantic + offset + contrast + guidance_share * guidance + propagation
    return Losses(whole, semantic, offset, contrast, guidance, propagation)


def semantic_loss(logits: Tensor, label: Tensor, weight: Tensor, smoothing: float = 0.0) -> Tensor:
    """L_s: weighted mean cross-entropy over labelled voxels (paper eq. 1), smoothed if asked."""
    each = functional.cross_entropy(
        logits, label.clamp(min=0), reduction="none", label_smoothing=smoothing
    )
    return (each * weight).sum() / total(weight.sum()).clamp(min=1e-6)


def offset_loss(offset: Tensor, target: Tensor) -> Tensor:
    """L_norm + L_dir over thing voxels with a known centre (PointGroup eq. 2 and 3).

    L_norm is relative to the mean length of what is wanted, so that cups on a table teach as much
    as sofas in a room, and as much as the classes do.
    """
    known = torch.isfinite(target).all(dim=1)
    found, wanted = offset[known], target[known]
    count, length = total(torch.stack([known.sum(), wanted.abs().sum()])).clamp(min=1e-6)
    scale = (length / count).clamp(min=1e-3)
    distance = (found - wanted).abs().sum() / scale
    direction = functional.cosine_similarity(found, wanted, dim=1, eps=1e-3).sum()
    loss: Tensor = OFFSET_SHARE * (distance + known.sum() - direction) / count
    return loss


class DescribedSupervoxels(NamedTuple):
    """The M super-voxels of a batch.

    Attributes:
        feature: float [M, width], mean feature of Θ; inputs: float [M, F], mean input of Θ.
        probability: float [M, C], mean class probability under Θ, without gradient.
        label: int64 [M], -1 = none; weight: float [M], in the losses.
    """

    feature: Tensor
    inputs: Tensor
    probability: Tensor
    label: Tensor
    weight: Tensor


def described_supervoxels(
    output: SemanticOutput, batch: Batch, class_weight: Tensor
) -> DescribedSupervoxels:
    """Voxels pooled to super-voxels."""
    inside = batch.supervoxel >= 0
    rows, count = batch.supervoxel[inside], batch.n_supervoxels
    label = _majority(batch.label[inside], rows, count, len(class_weight))
    trust = batch.weight.new_zeros(count).scatter_reduce(0, rows, batch.weight[inside], "amax")
    return DescribedSupervoxels(
        pool_rows(output.feature[inside], rows, count),
        pool_rows(batch.features[inside], rows, count),
        pool_rows(functional.softmax(output.logits.detach()[inside], dim=1), rows, count),
        label,
        trust * class_weight[label.clamp(min=0)] * (label >= 0),
    )


def _majority(label: Tensor, rows: Tensor, count: int, classes: int) -> Tensor:
    """The most frequent label of each row's voxels, -1 = none among them: int64 [count]."""
    votes = torch.bincount(rows * (classes + 1) + label + 1, minlength=count * (classes + 1))
    return votes.view(count, classes + 1).argmax(dim=1) - 1


def relation_losses(
    relation: RelationNet, groups: DescribedSupervoxels, guided: bool
) -> tuple[Tensor, Tensor]:
    """L_c on labelled super-voxels (paper eq. 3) and KL(P_Θ ‖ P_R) on the others.

    Θ learns from L_c through its features; KL leaves it alone.
    """
    bank = relation.bank
    described = torch.cat([groups.feature, groups.inputs], dim=1)
    labelled = groups.label >= 0
    embedding, name = relation(described[labelled]), groups.label[labelled]
    bank.update(gathered(embedding), gathered(name))
    contrast = semantic_loss(bank.scores(embedding), name, groups.weight[labelled])
    guidance = groups.feature.sum() * 0
    if guided and bank.seen.any():
        target = groups.probability[~labelled][:, bank.seen]
        target = target / target.sum(dim=1, keepdim=True).clamp(min=1e-6)
        scores = bank.scores(relation(described[~labelled].detach()))[:, bank.seen]
        found = functional.log_softmax(scores, dim=1)
        count = total((~labelled).sum()).clamp(min=1)
        guidance = functional.kl_div(found, target, reduction="sum") / count
    return contrast, guidance


def propagation_loss(
    transformer: TransformerPropagation, bank: PrototypeBank, groups: DescribedSupervoxels
) -> Tensor:
    """Cross-entropy of the transformer on labelled super-voxels; Θ learns from it, the bank not."""
    logits = transformer(groups.feature, bank.prototype, bank.seen)
    return semantic_loss(logits, groups.label, groups.weight)
