"""Several processes on one training, as `torchrun` starts them.

A step's crops are dealt to the processes, every sum over the crops goes over all of them, and so
each process takes the step that a single one would take. Without `torchrun` nothing here does
anything.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

PATIENCE = timedelta(days=1)  # the first process propagates while the others wait


def join(device: torch.device) -> torch.device:
    """Take part in the training that `torchrun` started; returns this process's device."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        # A process that ends with the group's threads still running may abort, and torchrun then
        # ends the others.
        atexit.register(dist.destroy_process_group)
    return device


def count() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """The number of this one; the first, 0, writes what is to stay."""
    return dist.get_rank() if dist.is_initialized() else 0


def wait() -> None:
    """Until every process has come here."""
    if count() > 1:
        dist.barrier()


def dealt(things: int) -> slice:
    """The things that are this process's: neighbours, as evenly as may be."""
    return slice(rank() * things // count(), (rank() + 1) * things // count())


def total(value: Tensor) -> Tensor:
    """Sum over all processes, without gradient."""
    value = value.detach()
    if count() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def summed(value: Tensor) -> Tensor:
    """Sum over all processes, through which gradients flow back to each."""
    if count() == 1:
        return value
    return _Summed.apply(value)  # type: ignore[no-any-return, no-untyped-call]


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return total(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # What every process makes of the sum depends on the value of each.
        return total(gradient)


def gathered(rows: Tensor) -> Tensor:
    """The rows of all processes below each other, without gradient; each may have another number
    of them."""
    if count() == 1:
        return rows.detach()
    sizes = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(count())]
    dist.all_gather(sizes, torch.tensor([len(rows)], device=rows.device))
    most = int(max(size.item() for size in sizes))
    padded = rows.new_zeros(most, *rows.shape[1:])
    padded[: len(rows)] = rows.detach()
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[: int(size)] for part, size in zip(parts, sizes, strict=True)])


def add_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the sum of all gradients."""
    if count() == 1:
        return
    gradients = [each.grad for each in parameters if each.grad is not None]
    whole = total(torch.cat([gradient.flatten() for gradient in gradients]))
    parts = torch.split(whole, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))
