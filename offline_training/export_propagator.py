"""Both propagators as ONNX files: the arithmetic of `otoc_ros.core.propagation`, and the
transformer's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from offline_training.export import IR_VERSION, OPSET
from offline_training.networks import EMBEDDING, TEMPERATURE, UNSEEN
from offline_training.transformer import CrossAttention, TransformerPropagation
from otoc_ros.core.propagation import PropagationSettings

F32 = NDArray[np.float32]


def graph_onnx(bias: F32, settings: PropagationSettings, metadata: Mapping[str, str]) -> bytes:
    """Fuse both networks' scores and run the mean field (paper sections 3.3 and 3.4).

    Inputs of the model: log_theta float32 [M, C], embedding float32 [M, d] of unit length,
    prototypes float32 [B, d] of unit length (the first C are the classes of log_theta, in their
    order), neighbours int32 [M, K], affinity float32 [M, K]. Outputs: probability float32 [M, C];
    similarity float32 [M, B], cosine to each prototype.

    Args:
        bias: float32 [C], added to f_j · k_c / τ; UNSEEN for a class without a prototype.
    """
    ops = _Ops()
    unary = _fuse(ops, "log_theta", bias, settings)
    belief = ops.node("Softmax", unary, axis=1)
    axis, weight = ops.constant([1], np.int64), ops.constant(settings.weight)
    edge_weight = ops.node("Unsqueeze", "affinity", axis)
    for _ in range(settings.steps):
        around = ops.node("Gather", belief, "neighbours", axis=0)
        message = ops.node("Squeeze", ops.node("MatMul", edge_weight, around), axis)
        energy = ops.node("Add", unary, ops.node("Mul", message, weight))
        belief = ops.node("Softmax", energy, axis=1)
    inputs: _Inputs = {
        "log_theta": (TensorProto.FLOAT, ["M", len(bias)]),
        **_COMPARED,
        "neighbours": (TensorProto.INT32, ["M", "K"]),
        "affinity": (TensorProto.FLOAT, ["M", "K"]),
    }
    return ops.model(belief, inputs, len(bias), metadata)


def transformer_onnx(
    transformer: TransformerPropagation,
    bias: F32,
    settings: PropagationSettings,
    metadata: Mapping[str, str],
) -> bytes:
    """Let super-voxels attend to the prototypes, and fuse what comes out with the relation net's
    scores.

    Inputs of the model: feature float32 [M, width], the U-Net's mean feature of each super-voxel;
    embedding and prototypes as of `graph_onnx`, and the same outputs. Prototypes beyond the first C
    get no attention.

    Args:
        bias: as for `graph_onnx`.
    """
    classes, width = len(bias), transformer.enter.in_features
    ops = _Ops()
    known = ops.node(
        "Slice",
        "prototypes",
        *(ops.constant([value], np.int64) for value in (0, classes, 0)),
    )
    mask = ops.constant(np.where(bias > UNSEEN / 2, 0, UNSEEN)[None])
    with torch.no_grad():
        x = ops.linear(transformer.enter, "feature")
        for layer in transformer.layers:
            assert isinstance(layer, CrossAttention)
            x = _attend(ops, layer, x, known, mask)
        logits = ops.linear(transformer.classifier, ops.node("Concat", "feature", x, axis=1))
    unary = _fuse(ops, ops.node("LogSoftmax", logits, axis=1), bias, settings)
    belief = ops.node("Softmax", unary, axis=1)
    inputs: _Inputs = {"feature": (TensorProto.FLOAT, ["M", width]), **_COMPARED}
    return ops.model(belief, inputs, classes, metadata)


_Inputs = dict[str, tuple[int, list[str | int]]]

_COMPARED: _Inputs = {
    "embedding": (TensorProto.FLOAT, ["M", EMBEDDING]),
    "prototypes": (TensorProto.FLOAT, ["B", EMBEDDING]),
}


def _fuse(ops: _Ops, log_scores: str, bias: F32, settings: PropagationSettings) -> str:
    """As `propagation.fuse`; the cosines to all prototypes become the output `similarity`."""
    alpha = settings.unary_share
    scaled = ops.node("Mul", log_scores, ops.constant(1 / settings.temperature))
    unet_part = ops.node("Mul", ops.node("LogSoftmax", scaled, axis=1), ops.constant(alpha))
    turned = ops.node("Transpose", "prototypes", perm=[1, 0])
    ops.node("MatMul", "embedding", turned, output="similarity")
    known = ops.node(
        "Slice", "similarity", *(ops.constant([value], np.int64) for value in (0, len(bias), 1))
    )
    sharp = ops.node("Mul", known, ops.constant(1 / TEMPERATURE))
    masked = ops.node("Add", sharp, ops.constant(bias[None]))
    relation = ops.node("LogSoftmax", masked, axis=1)
    relation_part = ops.node("Mul", relation, ops.constant(1 - alpha))
    return ops.node("LogSoftmax", ops.node("Add", unet_part, relation_part), axis=1)


def _attend(ops: _Ops, layer: CrossAttention, x: str, prototypes: str, mask: str) -> str:
    keys = ops.norm(layer.norm_key, prototypes)
    query = ops.linear(layer.query, ops.norm(layer.norm, x))
    key = ops.node("Transpose", ops.linear(layer.key, keys), perm=[1, 0])
    scale = ops.constant(1 / math.sqrt(EMBEDDING))
    scores = ops.node("Mul", ops.node("MatMul", query, key), scale)
    attention = ops.node("Softmax", ops.node("Add", scores, mask), axis=1)
    found = ops.node("MatMul", attention, ops.linear(layer.value, keys))
    x = ops.node("Add", x, ops.linear(layer.leave, found))
    wide = ops.node("Relu", ops.linear(layer.widen, ops.norm(layer.norm_feed, x)))
    return ops.node("Add", x, ops.linear(layer.narrow, wide))


class _Ops:
    """Nodes and constants in the making; tensors are known by their names."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Any, dtype: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def linear(self, layer: nn.Linear, x: str) -> str:
        weight, bias = self.constant(layer.weight.t().cpu()), self.constant(layer.bias.cpu())
        return self.node("Gemm", x, weight, bias)

    def norm(self, layer: nn.LayerNorm, x: str) -> str:
        scale, bias = self.constant(layer.weight.cpu()), self.constant(layer.bias.cpu())
        return self.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=layer.eps)

    def model(
        self,
        probability: str,
        inputs: _Inputs,
        classes: int,
        metadata: Mapping[str, str],
    ) -> bytes:
        """The whole file, checked; `similarity` must have been made."""
        self.node("Identity", probability, output="probability")
        outputs: dict[str, list[str | int]]
        outputs = {"probability": ["M", classes], "similarity": ["M", "B"]}
        graph = helper.make_graph(
            self.nodes,
            "propagator",
            [helper.make_tensor_value_info(name, *described) for name, described in inputs.items()],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in outputs.items()
            ],
            self.constants,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        data: bytes = model.SerializeToString()
        return data
