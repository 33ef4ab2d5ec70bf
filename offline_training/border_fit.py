"""What parts objects at one site, beside what parts them anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import nn

from offline_training.scenes import majority
from otoc_ros.core.border_look import describe_borders
from otoc_ros.core.look import Look
from otoc_ros.core.preprocess import Prepared

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

PULL = 45.0  # borders that speak for what is known anywhere; a site's own outnumber them soon
# Times that a border between objects counts: few are, and one that is missed joins two for good.
APART = 10.0
FEW = 20  # borders inside objects, or between them, from which nothing can be learnt
PARTS = 4  # that scenes are held back in
LEAST_SPREAD = 1e-3  # of a feature, for it to tell anything


class SeenBorders(NamedTuple):
    """The pairs of super-voxels of a cloud that touch: how they look, float32 [E, F], and the
    object of either side, int32 [E, 2], 0 = none or unknown."""

    described: F32
    sides: I32


def see_borders(prepared: Prepared, instance: I32) -> SeenBorders:
    """The borders of a cloud, as the live pipeline describes them.

    Args:
        instance: int32 [V], object of each voxel, 0 = none or unknown.
    """
    number = majority(instance, prepared.supervoxel, prepared.n_supervoxels)
    described = describe_borders(prepared, Look.of(prepared))
    return SeenBorders(described, number[prepared.borders.pairs])


def fit_borders(known: nn.Sequential, scenes: Sequence[SeenBorders]) -> nn.Sequential:
    """The scorer of borders for a site: the known one's score, scaled, plus a linear function of
    what is seen there, so that the borders between labelled objects are told from those inside.

    On a table a concave crease divides things; the known scorer learnt from rooms, where a seat
    meets the chair's back in one. This is logistic regression with a Gaussian prior at what is
    known; nothing in it knows a class or asks a network of the site, so objects of unseen kinds are
    parted like those that were clicked.

    Args:
        known: from `describe_borders` to logits [E, 1]; `Linear` and `ReLU` in turn.

    Returns:
        layers of the same kind; `known` itself where too few borders are labelled.
    """
    if not scenes:
        return known
    labelled = [(seen.sides > 0).all(axis=1) for seen in scenes]
    chosen = list(zip(scenes, labelled, strict=True))
    described = np.concatenate([seen.described[both] for seen, both in chosen])
    sides = np.concatenate([seen.sides[both] for seen, both in chosen])
    same = sides[:, 0] == sides[:, 1]
    if min(same.sum(), (~same).sum()) < FEW:
        return known
    with torch.no_grad():
        score = known(torch.from_numpy(described))[:, 0].double().numpy()
    mean, spread = described.mean(axis=0), described.std(axis=0)
    told = np.where(spread > LEAST_SPREAD, 1 / np.maximum(spread, LEAST_SPREAD), 0)
    scale, weight, bias = _regress(score, (described - mean) * told, same)
    return _beside(known, scale, weight * told, bias - float(weight @ (mean * told)))


@torch.no_grad()
def parting(borders: nn.Sequential, seen: SeenBorders) -> F64:
    """-log of the probability that one object has both of a pair that touches, float64 [E], as the
    live pipeline asks it of a bundle."""
    score = borders(torch.from_numpy(seen.described))[:, 0].double().numpy()
    return np.asarray(np.logaddexp(0, -score), np.float64)


def held_back_parting(known: nn.Sequential, scenes: Sequence[SeenBorders]) -> list[F64]:
    """`parting` of each scene by what the others teach, as a scene will meet it that nobody
    clicked. Neighbours are often views of one set-up and held back together."""
    found: list[F64] = []
    for part in np.array_split(np.arange(len(scenes)), PARTS):
        others = [scenes[row] for row in range(len(scenes)) if row not in part]
        borders = fit_borders(known, others)
        found += [parting(borders, scenes[row]) for row in part]
    return found


def _regress(score: F64, columns: F64, same: NDArray[np.bool_]) -> tuple[float, F64, float]:
    """Scale of the score, weights of the columns and bias that make `same` likeliest."""
    sign = np.where(same, 1.0, -1.0)
    count = np.where(same, 1.0, APART)
    inputs = np.column_stack([score, columns, np.ones(len(score))])
    prior = np.zeros(inputs.shape[1])
    prior[0] = 1
    held = np.ones(len(prior))
    held[-1] = 0  # how often things touch is each site's own

    def loss(values: F64) -> tuple[float, F64]:
        margin = sign * (inputs @ values)
        away = held * (values - prior)
        slope = -sign * count / (1 + np.exp(np.clip(margin, -50, 50)))
        total = (count * np.logaddexp(0, -margin)).sum() + PULL * (away**2).sum()
        return float(total), inputs.T @ slope + 2 * PULL * away

    best = minimize(loss, prior, jac=True, method="L-BFGS-B").x
    return float(best[0]), best[1:-1], float(best[-1])


@torch.no_grad()
def _beside(known: nn.Sequential, scale: float, weight: F64, bias: float) -> nn.Sequential:
    """Layers that give scale · known(x) + weight · x + bias. Hidden units carry x and -x along,
    since x is what ReLU leaves of x less what it leaves of -x."""
    columns = len(weight)
    carry = torch.cat([torch.eye(columns), -torch.eye(columns)])
    linear = [layer for layer in known if isinstance(layer, nn.Linear)]
    layers: list[nn.Module] = []
    for row, layer in enumerate(linear):
        rows = layer.out_features
        if row == 0:
            wide = torch.cat([layer.weight, carry])
        elif row < len(linear) - 1:
            wide = torch.zeros(rows + 2 * columns, layer.in_features + 2 * columns)
            wide[:rows, : layer.in_features] = layer.weight
            wide[rows:, layer.in_features :] = torch.eye(2 * columns)
        else:
            own = torch.tensor(weight, dtype=torch.float32)
            wide = torch.cat([scale * layer.weight, own[None], -own[None]], dim=1)
        shift = torch.zeros(len(wide))
        shift[:rows] = layer.bias
        if row == len(linear) - 1:
            shift = scale * shift + bias
        new = nn.Linear(wide.shape[1], len(wide))
        new.weight.copy_(wide), new.bias.copy_(shift)
        layers += [new, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
