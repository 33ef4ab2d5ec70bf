"""The optional C++ kernel for sparse convolutions on a CPU, loaded when it was built.

Everything works without it, slower: `pip install` builds it where there is a C++ compiler.
"""

from __future__ import annotations

import ctypes
import logging
from functools import lru_cache
from importlib.util import find_spec

MODULE = "otoc_ros.core._sparse_conv"
INTERFACE = 1  # of native/sparse_conv.cpp; another number is a library of another version
BLOCK_ROWS = 128  # output rows of a task: with their weights they fit the first-level cache
INSTRUCTION_SETS = ("plain", "avx2", "avx512")

_pointer, _long, _int = ctypes.c_void_p, ctypes.c_long, ctypes.c_int
_SIGNATURES: dict[str, list[type]] = {
    "otoc_interface": [],
    "otoc_instruction_set": [],
    "otoc_use_instruction_set": [_int],
    # features, weight, result; n_out, c_in, c_out, offsets; inputs, outputs, block_start;
    # block_rows; threads
    "otoc_convolve": [_pointer] * 3 + [_long] * 4 + [_pointer] * 3 + [_long, _int],
    # features, gradient, result; c_in, c_out, offsets; inputs, outputs, offset_start; threads
    "otoc_weight_gradient": [_pointer] * 3 + [_long] * 3 + [_pointer] * 3 + [_int],
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
