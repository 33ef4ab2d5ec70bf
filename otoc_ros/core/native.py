"""The optional C++ kernel for sparse convolutions on a CPU, loaded when it was built.

Everything works without it, slower: `pip install` builds it where there is a C++ compiler.
"""

from __future__ import annotations

import ctypes
import logging
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from otoc_ros.core.pairs import PairList

MODULE = "otoc_ros.core._sparse_conv"
INTERFACE = 4  # of native/sparse_conv.cpp; another number is a library of another version
BLOCK_ROWS = 128  # output rows of a task: with their weights they fit the first-level cache
INSTRUCTION_SETS = ("plain", "avx2", "avx512")

Float32 = NDArray[np.float32]

_pointer, _long, _int = ctypes.c_void_p, ctypes.c_long, ctypes.c_int
_SIGNATURES: dict[str, list[type]] = {
    "otoc_interface": [],
    "otoc_instruction_set": [],
    "otoc_use_instruction_set": [_int],
    # features, weight, bias, addend, result; n_out, c_in, c_out, offsets; inputs, outputs,
    # block_start; block_rows; relu, transposed, threads
    "otoc_convolve": [_pointer] * 5 + [_long] * 4 + [_pointer] * 3 + [_long, _int, _int, _int],
    # features, gradient, result; n_out, c_in, c_out, offsets; inputs, outputs, block_start;
    # block_rows; threads
    "otoc_weight_gradient": [_pointer] * 3 + [_long] * 4 + [_pointer] * 3 + [_long, _int],
}


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The kernel, whose calls release the GIL, or None; says once in the log why there is none."""
    log = logging.getLogger(__name__)
    found = find_spec(MODULE)
    if found is None or found.origin is None:
        log.info("the C++ sparse kernel was not built: PyTorch computes sparse convolutions")
        return None
    try:
        kernel = ctypes.CDLL(found.origin)
        if kernel.otoc_interface() != INTERFACE:
            raise OSError("it belongs to another version of otoc_ros")
    except (OSError, AttributeError) as error:
        log.warning("the C++ sparse kernel %s cannot be used: %s", found.origin, error)
        return None
    for name, arguments in _SIGNATURES.items():
        function = getattr(kernel, name)
        function.argtypes = arguments
        function.restype = _int if len(arguments) < 2 else None
    return kernel


def convolve(
    features: Float32,
    weight: Float32,
    pairs: PairList,
    *,
    bias: Float32 | None = None,
    addend: Float32 | None = None,
    relu: bool = False,
    transposed: bool = False,
    threads: int = 1,
) -> Float32:
    """bias + addend + the sum of `features[i] @ weight[k]` over each output row's pairs; ReLU.

    Only where `library()` is there. The result does not depend on the number of threads.

    Args:
        features: float32 [pairs.n_inputs, C_in].
        weight: float32 [K, C_in, C_out], or with `transposed` [K, C_out, C_in].
        bias: float32 [C_out].
        addend: float32 [pairs.n_outputs, C_out].

    Raises:
        ValueError: an array that is not dense float32 of these sizes.
    """
    offsets, c_in = len(pairs.offset_start) - 1, features.shape[-1]
    c_out = weight.shape[-2 if transposed else -1]
    _check("features", features, (pairs.n_inputs, c_in))
    _check("weight", weight, (offsets, c_out, c_in) if transposed else (offsets, c_in, c_out))
    if bias is not None:
        _check("bias", bias, (c_out,))
    if addend is not None:
        _check("addend", addend, (pairs.n_outputs, c_out))
    result = np.empty((pairs.n_outputs, c_out), np.float32)
    _kernel().otoc_convolve(
        *map(_address, (features, weight, bias, addend, result)),
        *(pairs.n_outputs, c_in, c_out, offsets),
        *map(_address, (pairs.inputs, pairs.outputs, pairs.block_start)),
        *(BLOCK_ROWS, int(relu), int(transposed), threads),
    )
    return result


def weight_gradient(
    features: Float32, gradient: Float32, pairs: PairList, threads: int = 1
) -> Float32:
    """float32 [K, C_in, C_out], the sum of outer products of `features[i]` and `gradient[o]`.

    Args:
        features: float32 [pairs.n_inputs, C_in].
        gradient: float32 [pairs.n_outputs, C_out].

    Raises:
        ValueError: an array that is not dense float32 of these sizes.
    """
    offsets, c_in, c_out = len(pairs.offset_start) - 1, features.shape[-1], gradient.shape[-1]
    _check("features", features, (pairs.n_inputs, c_in))
    _check("gradient", gradient, (pairs.n_outputs, c_out))
    result = np.empty((offsets, c_in, c_out), np.float32)
    _kernel().otoc_weight_gradient(
        *map(_address, (features, gradient, result)),
        *(pairs.n_outputs, c_in, c_out, offsets),
        *map(_address, (pairs.inputs, pairs.outputs, pairs.block_start)),
        *(BLOCK_ROWS, threads),
    )
    return result


def _check(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    # The kernel trusts its pointers, so nothing else may reach it.
    if array.shape != shape or array.dtype != np.float32 or not array.flags.c_contiguous:
        raise ValueError(
            f"{name} is {array.dtype} {list(array.shape)}; the maps and weights want dense "
            f"float32 {list(shape)}"
        )


def _address(array: NDArray[Any] | None) -> int | None:
    if array is None:
        return None
    address: int = array.__array_interface__["data"][0]  # a fifth of the time of array.ctypes
    return address


def _kernel() -> ctypes.CDLL:
    kernel = library()
    if kernel is None:
        raise RuntimeError("the C++ sparse kernel was not built; ask library() first")
    return kernel
