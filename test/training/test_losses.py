"""What each loss of a step asks for, in cases small enough to count by hand."""

from __future__ import annotations

import math

import pytest
import torch

from offline_training import losses
from offline_training.losses import DescribedSupervoxels, offset_loss, relation_losses
from offline_training.networks import EMBEDDING, MOMENTUM, TEMPERATURE, PrototypeBank, RelationNet

AHEAD, ASIDE = torch.eye(EMBEDDING)[:2]


def describe(label: list[int], probability: list[list[float]]) -> DescribedSupervoxels:
    count = len(label)
    return DescribedSupervoxels(
        torch.randn(count, 4, requires_grad=True),
        torch.randn(count, 3),
        torch.tensor(probability),
        torch.tensor(label),
        (torch.tensor(label) >= 0).float(),
    )


class Fixed(torch.nn.Module):
    """Embeddings that do not depend on what is described."""

    def __init__(self, rows: torch.Tensor) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, described: torch.Tensor) -> torch.Tensor:
        return self.rows[: len(described)] + 0 * described.sum()


def test_contrast_asks_that_every_labelled_supervoxel_lies_at_its_prototype() -> None:
    relation = RelationNet(3, 2, 4)
    relation.bank.update(torch.stack([AHEAD, ASIDE]), torch.tensor([0, 1]))
    groups = describe([0, 1, 1], [[0.5, 0.5]] * 3)
    relation.embed = Fixed(torch.stack([AHEAD, ASIDE, ASIDE]))
    at_home, _ = relation_losses(relation, groups, guided=False)
    assert at_home.item() == pytest.approx(math.log1p(math.exp(-1 / TEMPERATURE)), abs=1e-6)
    relation.embed = Fixed(torch.stack([ASIDE, ASIDE, ASIDE]))  # the first one strays
    before = relation.bank.prototype.clone()
    strayed, _ = relation_losses(relation, groups, guided=False)
    mixed = MOMENTUM * AHEAD + (1 - MOMENTUM) * ASIDE
    own = float((mixed / mixed.norm()) @ ASIDE)
    wrong = math.log1p(math.exp((1 - own) / TEMPERATURE))
    right = math.log1p(math.exp((own - 1) / TEMPERATURE))
    assert strayed.item() == pytest.approx((wrong + 2 * right) / 3, rel=1e-5)
    assert not torch.equal(before[0], relation.bank.prototype[0])


def test_guidance_asks_the_unlabelled_alone_to_agree_with_the_unet() -> None:
    relation = RelationNet(3, 2, 4)
    relation.bank.update(torch.stack([AHEAD, ASIDE]), torch.tensor([0, 1]))
    relation.embed = Fixed(torch.stack([AHEAD + ASIDE]) / 2**0.5)  # as likely either
    halves = math.log(2) - (-0.9 * math.log(0.9) - 0.1 * math.log(0.1))
    groups = describe([-1, -1], [[0.9, 0.1], [0.5, 0.5]])  # the second one agrees
    _, guidance = relation_losses(relation, groups, guided=True)
    assert guidance.item() == pytest.approx(halves / 2, rel=1e-4)
    relation.embed = Fixed(torch.stack([AHEAD, ASIDE]))
    labelled = describe([0, 1], [[0.1, 0.9], [0.9, 0.1]])
    _, nothing = relation_losses(relation, labelled, guided=True)
    assert nothing.item() == 0
    relation.embed = Fixed(torch.stack([AHEAD + ASIDE]) / 2**0.5)
    _, silent = relation_losses(relation, groups, guided=False)
    assert silent.item() == 0


def test_guidance_leaves_the_unet_alone_and_contrast_teaches_it() -> None:
    torch.manual_seed(0)
    relation = RelationNet(3, 2, 4)
    relation.bank.update(torch.stack([AHEAD, ASIDE]), torch.tensor([0, 1]))
    groups = describe([-1, 0], [[0.9, 0.1], [0.5, 0.5]])
    _, guidance = relation_losses(relation, groups, guided=True)
    assert guidance > 0
    (of_unet,) = torch.autograd.grad(guidance, groups.feature, allow_unused=True)
    assert of_unet is None
    contrast, _ = relation_losses(relation, groups, guided=False)
    (of_unet,) = torch.autograd.grad(contrast, groups.feature)
    assert of_unet[1].any() and not of_unet[0].any()


def test_a_batch_leaves_the_prototypes_of_absent_classes_alone() -> None:
    bank = PrototypeBank(3)
    bank.update(torch.stack([AHEAD, ASIDE]), torch.tensor([0, 2]))
    assert bank.seen.tolist() == [True, False, True]
    assert torch.equal(bank.prototype[0], AHEAD)
    bank.update(AHEAD[None], torch.tensor([2]))
    assert torch.equal(bank.prototype[0], AHEAD) and not bank.prototype[1].any()
    mixed = MOMENTUM * ASIDE + (1 - MOMENTUM) * AHEAD
    torch.testing.assert_close(bank.prototype[2], mixed / mixed.norm())
    before = bank.prototype.clone()
    bank.settle(torch.stack([3 * ASIDE, 0 * ASIDE, AHEAD]), torch.tensor([3, 0, 0]))
    assert torch.equal(bank.prototype[0], ASIDE)
    assert torch.equal(bank.prototype[1:], before[1:])


def test_offsets_are_asked_for_length_and_direction() -> None:
    wanted = torch.tensor([[0.4, 0.0, 0.0], [0.0, 0.4, 0.0], [math.nan] * 3])
    assert offset_loss(wanted, wanted).item() == pytest.approx(0, abs=1e-6)
    # Half as far is half the mean length off; the direction is right.
    assert offset_loss(wanted / 2, wanted).item() == pytest.approx(losses.OFFSET_SHARE * 0.5)
    # The other way is twice the length off, and 2 off in direction.
    assert offset_loss(-wanted, wanted).item() == pytest.approx(losses.OFFSET_SHARE * 4)
    # Cups teach as much as sofas.
    assert offset_loss(wanted / 20, wanted / 10).item() == pytest.approx(
        losses.OFFSET_SHARE * 0.5, rel=1e-4
    )


def test_a_supervoxel_is_what_most_of_its_voxels_are() -> None:
    label = torch.tensor([2, 2, 0, 1, -1, -1, 1])
    rows = torch.tensor([0, 0, 0, 1, 2, 2, 2])
    assert losses._majority(label, rows, 3, 3).tolist() == [2, 1, -1]
