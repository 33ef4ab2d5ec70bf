"""An exported network computed by the C++ kernel instead of an ONNX runtime.

The exporter writes, beside the graph, the same network as a list of steps into the file's metadata;
weights are the graph's own. A step reads and writes [rows, channels] arrays known by name:

    conv    from, pairs, weight, scale, bias, add, relu     ReLU(Σ x[i] @ W[k] + bias + add)
    concat  from (two names)                                columns side by side
    relu    from
    unit    from                                            rows divided by their length
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core import native
from otoc_ros.core.onnx_file import OnnxFile
from otoc_ros.core.pairs import PairList, identity_pairs

METADATA_KEY = "otoc_steps"
FORMAT = 1
OFFSETS = {"same": 27, "down": 8, "up": 8, "rows": 1}  # by the name of the pairs, level aside

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Step:
    op: str
    to: str
    sources: tuple[str, ...]
    last_use: tuple[str, ...]  # arrays that no later step reads
    pairs: str = ""
    weight: Float32 | None = None  # [K, C_in, C_out]
    bias: Float32 | None = None
    add: str | None = None
    relu: bool = False


class NativeNetwork:
    """Runs the steps of one file; only where `native.library()` is there.

    Args:
        file: of the project's exporter.
        threads: cores that one call may use.

    Raises:
        ValueError: the file has no steps, or steps of another version.
    """

    def __init__(self, file: OnnxFile, threads: int) -> None:
        try:
            program = json.loads(file.metadata.get(METADATA_KEY, "{}"))
            if program.get("format") != FORMAT:
                raise ValueError(f"its steps are of format {program.get('format')}, not {FORMAT}")
            self._outputs: dict[str, str] = program["outputs"]
            self._steps = _prepared(program["steps"], set(self._outputs.values()), file.tensors)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"its steps lack {error}") from error
        self._threads = threads

    def __call__(self, feeds: Mapping[str, Any]) -> dict[str, Float32]:
        """Outputs by name.

        Args:
            feeds: `features` float32 [V, C], and the pairs of `sparse_pairs` by name.
        """
        arrays: dict[str, Float32] = {"features": feeds["features"]}
        for step in self._steps:
            arrays[step.to] = self._computed(step, arrays, feeds)
            for name in step.last_use:
                del arrays[name]
        return {name: arrays[source] for name, source in self._outputs.items()}

    def _computed(
        self, step: _Step, arrays: Mapping[str, Float32], feeds: Mapping[str, Any]
    ) -> Float32:
        x = arrays[step.sources[0]]
        if step.op == "conv":
            assert step.weight is not None
            pairs: PairList = identity_pairs(len(x)) if step.pairs == "rows" else feeds[step.pairs]
            return native.convolve(
                np.ascontiguousarray(x, np.float32),
                step.weight,
                pairs,
                bias=step.bias,
                addend=None if step.add is None else arrays[step.add],
                relu=step.relu,
                threads=self._threads,
            )
        if step.op == "concat":
            return np.concatenate([x, arrays[step.sources[1]]], axis=1)
        if step.op == "relu":
            return np.maximum(x, 0)
        length: Float32 = np.linalg.norm(x, axis=1, keepdims=True)
        unit: Float32 = x / np.maximum(length, np.float32(1e-12))
        return unit


def _prepared(
    steps: list[dict[str, Any]], outputs: set[str], tensors: Mapping[str, NDArray[Any]]
) -> list[_Step]:
    prepared: list[_Step] = []
    needed = set(outputs)
    for step in reversed(steps):
        if step["op"] not in ("conv", "concat", "relu", "unit"):
            raise ValueError(f"a step is {step['op']!r}, which this version does not know")
        sources, add = tuple(step["from"]), step.get("add")
        read = {*sources, add} - {None}
        last_use = tuple(sorted(read - needed))
        needed |= read
        convolution = {}
        if step["op"] == "conv":
            kind = step["pairs"].rstrip("0123456789")
            weight = _decoded(tensors, step["weight"], step.get("scale"), OFFSETS[kind])
            # The graph repeats the bias of `up` for each of the eight children.
            bias = step["bias"] and tensors[step["bias"]].astype(np.float32)[: weight.shape[2]]
            convolution = {
                "pairs": step["pairs"],
                "weight": weight,
                "bias": bias,
                "add": add,
                "relu": step["relu"],
            }
        prepared.append(_Step(step["op"], step["to"], sources, last_use, **convolution))
    return prepared[::-1]


def _decoded(
    tensors: Mapping[str, NDArray[Any]], name: str, scale: str | None, offsets: int
) -> Float32:
    """float32 [K, C_in, C_out] of weights stored in any way."""
    weight = tensors[name].astype(np.float32)
    if scale is not None:
        weight = weight * tensors[scale]
    if weight.ndim == 2:  # [C_in, K · C_out]
        weight = weight.reshape(len(weight), offsets, -1).transpose(1, 0, 2)
    return np.ascontiguousarray(weight, np.float32)
