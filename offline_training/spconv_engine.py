"""Sparse convolutions on CUDA by spconv, where it is installed, over our own kernel maps.

spconv's layers would build index pairs of their own and keep the weights in another layout. The
function below them takes ours: pairs as one table, and weights laid out anew for the call, so that
a state dict is the same on every engine.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

Slices = list[tuple[int, slice]]


@lru_cache(maxsize=1)
def spconv_function() -> Callable[..., Tensor] | None:
    """spconv's differentiable convolution over given pairs; None where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of torch, about spconv's imports
            from spconv.pytorch.functional import indice_conv
    except (ImportError, OSError):  # not installed, or built for another CUDA
        return None
    return indice_conv  # type: ignore[no-any-return]


def pair_table(
    inputs: Tensor, outputs: Tensor, slices: Slices, offsets: int
) -> tuple[Tensor, Tensor]:
    """Pairs as spconv holds them.

    Args:
        inputs, outputs: int32 [P], sorted by offset.
        slices: the offsets that have pairs, and where those lie.
        offsets: how many there are, K.

    Returns:
        int32 [2, K, longest] of input and output rows, -1 behind each offset's; int32 [K] counts.
    """
    count = torch.zeros(offsets, dtype=torch.int32)
    for k, here in slices:
        count[k] = here.stop - here.start
    table = inputs.new_full((2, offsets, int(count.max())), -1)
    for k, here in slices:
        table[0, k, : here.stop - here.start] = inputs[here]
        table[1, k, : here.stop - here.start] = outputs[here]
    return table, count.to(inputs.device)


def spconv_convolve(
    features: Tensor, weight: Tensor, table: Tensor, count: Tensor, n_outputs: int
) -> Tensor:
    """As `sparse.convolve`, gradients by autograd.

    Args:
        features: float [n_inputs, C_in].
        weight: float [K, C_in, C_out].
        table, count: of `pair_table`.
    """
    from spconv.core import ConvAlgo

    function = spconv_function()
    assert function is not None
    # [C_out, K, 1, 1, C_in]: to spconv a kernel of K × 1 × 1.
    laid = weight.permute(2, 0, 1)[:, :, None, None, :].contiguous()
    return function(features, laid, table, count, n_outputs, ConvAlgo.Native)
