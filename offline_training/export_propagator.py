"""The graph propagator as an ONNX file: the same arithmetic as `otoc_ros.core.propagation`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from offline_training.export import IR_VERSION, OPSET
from offline_training.networks import EMBEDDING, TEMPERATURE
from otoc_ros.core.propagation import PropagationSettings


def propagator_onnx(
    bias: NDArray[np.float32], settings: PropagationSettings, metadata: Mapping[str, str]
) -> bytes:
    """Fuse both networks' scores and run the mean field (paper sections 3.3 and 3.4).

    Inputs of the model: log_theta float32 [M, C], embedding float32 [M, d] of unit length,
    prototypes float32 [B, d] of unit length (the first C are the classes of log_theta, in their
    order), neighbours int32 [M, K], affinity float32 [M, K]. Outputs: probability float32 [M, C];
    similarity float32 [M, B], cosine to each prototype.

    Args:
        bias: float32 [C], added to f_j · k_c / τ; UNSEEN for a class without a prototype.
    """
    classes = len(bias)
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, value: NDArray[Any] | float | list[int], dtype: type) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    alpha = settings.unary_share
    constant("unary_scale", 1 / settings.temperature, np.float32)
    constant("alpha", alpha, np.float32)
    constant("beta", 1 - alpha, np.float32)
    constant("cosine_scale", 1 / TEMPERATURE, np.float32)
    constant("bias", bias[None], np.float32)
    constant("first", [0], np.int64)
    constant("classes", [classes], np.int64)
    constant("axis_one", [1], np.int64)
    constant("weight", settings.weight, np.float32)

    node("Mul", ["log_theta", "unary_scale"], "scaled")
    node("LogSoftmax", ["scaled"], "log_unet", axis=1)
    node("Mul", ["log_unet", "alpha"], "unet_part")
    node("Transpose", ["prototypes"], "turned", perm=[1, 0])
    node("MatMul", ["embedding", "turned"], "similarity")
    node("Slice", ["similarity", "first", "classes", "axis_one"], "known")
    node("Mul", ["known", "cosine_scale"], "sharp")
    node("Add", ["sharp", "bias"], "masked")
    node("LogSoftmax", ["masked"], "log_relation", axis=1)
    node("Mul", ["log_relation", "beta"], "relation_part")
    node("Add", ["unet_part", "relation_part"], "product")
    unary = node("LogSoftmax", ["product"], "unary", axis=1)
    belief = node("Softmax", [unary], "belief0", axis=1)
    node("Unsqueeze", ["affinity", "axis_one"], "edge_weight")
    for step in range(1, settings.steps + 1):
        node("Gather", [belief, "neighbours"], f"around{step}", axis=0)
        node("MatMul", ["edge_weight", f"around{step}"], f"sum{step}")
        node("Squeeze", [f"sum{step}", "axis_one"], f"message{step}")
        node("Mul", [f"message{step}", "weight"], f"pull{step}")
        node("Add", [unary, f"pull{step}"], f"energy{step}")
        belief = node("Softmax", [f"energy{step}"], f"belief{step}", axis=1)
    node("Identity", [belief], "probability")

    def tensor(name: str, kind: int, shape: list[str | int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        nodes,
        "propagator",
        [
            tensor("log_theta", TensorProto.FLOAT, ["M", classes]),
            tensor("embedding", TensorProto.FLOAT, ["M", EMBEDDING]),
            tensor("prototypes", TensorProto.FLOAT, ["B", EMBEDDING]),
            tensor("neighbours", TensorProto.INT32, ["M", "K"]),
            tensor("affinity", TensorProto.FLOAT, ["M", "K"]),
        ],
        [
            tensor("probability", TensorProto.FLOAT, ["M", classes]),
            tensor("similarity", TensorProto.FLOAT, ["M", "B"]),
        ],
        constants,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data
