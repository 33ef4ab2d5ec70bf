"""The optimiser of the convolutions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
TURNS = 5  # of the iteration; singular values end between 0.7 and 1.1
# Coefficients of the quintic iteration, by Jordan: they lift small singular values fastest.
LINEAR, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315


class Muon(torch.optim.Optimizer):
    """Momentum made orthogonal before each step (Jordan et al. 2024, "Muon").

    A gradient of a convolution has few strong directions, and under Adam they are nearly all that
    is learnt; here all directions move alike. PyTorch's own takes matrices only, and multiplies the
    long side of each in every turn; a convolution is 27 times as long as wide, so this one iterates
    on the short side's products and touches the long side twice.

    Args:
        weights: float [K, C_in, C_out] each, taken as a matrix of K · C_in rows.
        lr: root mean square of a step's change of a weight.
        weight_decay: share of `lr` by which weights shrink in a step.
    """

    def __init__(self, weights: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """One step along the gradients; weights without one stay."""
        with _one_thread():
            for group in self.param_groups:
                for weight in group["params"]:
                    if weight.grad is not None:
                        self._move(weight, group["lr"], group["weight_decay"])

    def _move(self, weight: Tensor, lr: float, weight_decay: float) -> None:
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        momentum = state["momentum"].mul_(MOMENTUM).add_(weight.grad)
        ahead = (weight.grad + MOMENTUM * momentum).flatten(0, 1)
        change = orthogonal(ahead) * max(ahead.shape) ** 0.5
        weight.mul_(1 - lr * weight_decay)
        weight.add_(change.view_as(weight), alpha=-lr)


def orthogonal(matrix: Tensor) -> Tensor:
    """Nearly the orthogonal matrix closest to float [R, C]: Newton-Schulz on the short side."""
    if matrix.shape[0] < matrix.shape[1]:
        return orthogonal(matrix.t()).t()
    start = matrix / (torch.linalg.matrix_norm(matrix) + 1e-7)
    products = start.t() @ start
    one = torch.eye(len(products), dtype=matrix.dtype, device=matrix.device)
    turned = one
    for _ in range(TURNS):
        turn = LINEAR * one + CUBIC * products + QUINTIC * (products @ products)
        turned = turned @ turn
        products = turn @ products @ turn
    result: Tensor = start @ turned
    return result


@contextmanager
def _one_thread() -> Iterator[None]:
    """Hundreds of small products: to wake a second thread for each takes longer than its half."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
