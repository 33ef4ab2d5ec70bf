"""Write a U-Net and its heads as one ONNX file of standard operators.

Every convolution is Gather → Reshape → Gemm over index tensors that `sparse_feeds` makes, so the
file runs on any execution provider, without a plug-in. Batch norms are folded into the weights. The
same network as a list of steps for the C++ kernel (`core.native_network`) goes into the metadata.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from offline_training.unet import NormedConv, ResidualBlock, TwoBlocks, UNet, UnitLength
from otoc_ros.core.native_network import FORMAT, METADATA_KEY
from otoc_ros.core.sparse_feeds import groups_of_level

OPSET = 17
IR_VERSION = 8
Storage = Literal["float32", "float16", "int8"]

Array = NDArray[Any]


def write_sparse_onnx(
    path: Path | str,
    unet: UNet,
    heads: dict[str, nn.Module],
    in_channels: int,
    metadata: dict[str, str],
    storage: Storage = "float32",
) -> None:
    """Write a network for inference; it is left as it was.

    The file's inputs are `features` float32 [V, in_channels] and those of `sparse_feeds(coords,
    levels)`; its outputs are float32 [V, C] by head name, rows in grid order.

    Args:
        heads: by output name, a module of Linear, ReLU, UnitLength, Identity and Sequential over
            the U-Net's features [V, width].
        metadata: stored in the file; `levels` and the steps are added.
        storage: how weights lie in the file: as they are, in half the size (they lose about 3e-4
            of their value) or in a quarter (8 bits with a scale per offset and output channel, up
            to 4e-3 of the largest). The network computes in float32, its speed is the same.

    Raises:
        TypeError: a head holds another kind of module.
    """
    graph = _Graph(storage)
    with torch.no_grad():
        x = _unet(graph, unet)
        for name, head in heads.items():
            result, channels = _head(graph, head, x, unet.width)
            graph.op("Identity", result, output=name)
            graph.program["outputs"][name] = graph.known(result)
            graph.outputs.append(
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["V", channels])
            )
    inputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["V", in_channels])]
    for name, shape in feed_shapes(unet.n_levels).items():
        inputs.append(helper.make_tensor_value_info(name, TensorProto.INT32, shape))
    steps = json.dumps(graph.program, separators=(",", ":"))
    described = {**metadata, "levels": str(unet.n_levels), METADATA_KEY: steps}
    _write(Path(path), "sparse_unet", graph, inputs, described)


def write_head_onnx(
    path: Path | str, name: str, head: nn.Module, in_channels: int, metadata: dict[str, str]
) -> None:
    """Write a head over rows of features, such as the relation net: float32 `described`
    [M, in_channels] in, float32 `name` [M, C] out.

    Raises:
        TypeError: the head holds a module that `write_sparse_onnx` has no export for.
    """
    graph = _Graph("float32")
    with torch.no_grad():
        result, channels = _head(graph, head, "described", in_channels)
    graph.op("Identity", result, output=name)
    graph.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["M", channels]))
    inputs = [helper.make_tensor_value_info("described", TensorProto.FLOAT, ["M", in_channels])]
    _write(Path(path), "head", graph, inputs, metadata)


def _write(
    path: Path,
    name: str,
    graph: _Graph,
    inputs: list[onnx.ValueInfoProto],
    metadata: dict[str, str],
) -> None:
    model = helper.make_model(
        helper.make_graph(graph.nodes, name, inputs, graph.outputs, graph.weights),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="otoc_ros",
    )
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def feed_shapes(levels: int) -> dict[str, list[int | str]]:
    """Inputs that `sparse_feeds` makes, with their sizes; a name stands for a dynamic one."""
    shapes: dict[str, list[int | str]] = {"order": ["V0 + 1"], "place": ["V"]}
    for level in range(levels):
        groups = groups_of_level(level)
        for group in range(groups):
            name = f"level{level}.group{group}"
            shapes[f"{name}.rows"] = [f"{name}.n", f"{name}.K" if groups > 1 else 27]
            if groups > 1:
                shapes[f"{name}.offsets"] = [f"{name}.K"]
        if level < levels - 1:
            shapes[f"level{level}.down"] = [f"V{level + 1}", 8]
            shapes[f"level{level}.up"] = [f"V{level}"]
    return shapes


class _Graph:
    """Nodes and weights in the making; tensors are known by their names."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.program: dict[str, Any] = {"format": FORMAT, "steps": [], "outputs": {}}
        self._stored: dict[str, dict[str, str]] = {}  # weights by what `matrix` made of them
        self._renamed: dict[str, str] = {}  # what is the same array to the steps

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: Tensor | Array) -> str:
        name = f"w{len(self.weights)}"
        array = np.ascontiguousarray(values)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def matrix(self, weight: Tensor) -> str:
        """Weights float32 [..., C_in, C_out]; runtimes unpack them once, while loading."""
        if self.storage == "float32":
            name = self.constant(weight)
            self._stored[name] = {"weight": name}
            return name
        if self.storage == "float16":
            half = self.constant(weight.half())
            name = self.op("Cast", half, to=TensorProto.FLOAT)
            self._stored[name] = {"weight": half}
            return name
        spread = weight.abs().amax(dim=-2, keepdim=True).clamp(min=1e-30) / 127
        whole = self.constant((weight / spread).round().to(torch.int8))
        scale = self.constant(spread)
        name = self.op("Mul", self.op("Cast", whole, to=TensorProto.FLOAT), scale)
        self._stored[name] = {"weight": whole, "scale": scale}
        return name

    def rename(self, name: str, known: str) -> str:
        """To the steps, which know neither groups nor rows of zeros, `name` is `known`."""
        self._renamed[name] = self.known(known)
        return name

    def known(self, name: str) -> str:
        return self._renamed.get(name, name)

    def step(self, kind: str, to: str, *sources: str) -> dict[str, Any]:
        """Note what `to` is made of."""
        known = [self.known(name) for name in sources]
        self.program["steps"].append({"op": kind, "to": to, "from": known})
        step: dict[str, Any] = self.program["steps"][-1]
        return step

    def conv_step(
        self, to: str, x: str, pairs: str, matrix: str, bias: str | None, relu: bool = True
    ) -> dict[str, Any]:
        """As `step`, for a convolution (or, over the pairs `rows`, a linear layer)."""
        step = self.step("conv", to, x)
        step |= {"pairs": pairs, **self._stored[matrix], "bias": bias, "relu": relu}
        return step

    def shape(self, *sizes: int) -> str:
        return self.constant(np.array(sizes, np.int64))

    def with_zero_row(self, parts: list[str], channels: int) -> str:
        """The parts below each other, and the row of zeros that index -1 stands for."""
        return self.op("Concat", *parts, self.constant(np.zeros((1, channels), np.float32)), axis=0)


def _unet(graph: _Graph, unet: UNet) -> str:
    # nn.ModuleList forgets the type of its members; Any is as much as can be said of them.
    encoder: Any = unet.encoder
    decoder: Any = unet.decoder
    down: Any = unet.down
    up: Any = unet.up
    x = graph.with_zero_row(["features"], unet.in_channels)
    x = graph.rename(graph.op("Gather", x, "order"), "features")
    x = _normed(graph, unet.stem, x, 0)
    skips = []
    for level, blocks in enumerate(encoder):
        x = _two_blocks(graph, blocks, x, level)
        if level < unet.n_levels - 1:
            skips.append(x)
            x = _down(graph, down[level], x, level)
    for level in reversed(range(unet.n_levels - 1)):
        wider = _up(graph, up[level], x, level)
        x = graph.op("Concat", skips[level], wider, axis=1)
        graph.step("concat", x, skips[level], wider)
        x = _two_blocks(graph, decoder[level], x, level)
    return graph.rename(graph.op("Gather", x, "place"), x)


def _two_blocks(graph: _Graph, blocks: TwoBlocks, x: str, level: int) -> str:
    x = _residual(graph, blocks.first, x, level)
    return _residual(graph, blocks.second, x, level)


def _residual(graph: _Graph, block: ResidualBlock, x: str, level: int) -> str:
    change = _normed(graph, block.first, x, level)
    weight, bias = _folded(block.second.weight, block.norm)
    if isinstance(block.skip, nn.Sequential):
        linear: Any = block.skip[0]
        norm: Any = block.skip[1]
        matrix, skip_bias = _folded(linear.weight.t(), norm)
        # The skip's bias goes into the convolution's: rows of zeros must remain rows of zeros.
        skip_weight, bias = graph.matrix(matrix), bias + skip_bias
        skip = graph.op("MatMul", x, skip_weight)
        graph.conv_step(skip, x, "rows", skip_weight, None, relu=False)
        x = skip
    return _submanifold(graph, weight, bias, change, level, add=x)


def _normed(graph: _Graph, layer: NormedConv, x: str, level: int) -> str:
    weight, bias = _folded(layer.conv.weight, layer.norm)
    return _submanifold(graph, weight, bias, x, level)


def _submanifold(
    graph: _Graph, weight: Tensor, bias: Tensor, x: str, level: int, add: str | None = None
) -> str:
    c_out = weight.shape[2]
    groups = groups_of_level(level)
    bias_name = graph.constant(bias)
    stored = weight_name = graph.matrix(weight)
    if groups == 1:
        weight_name = graph.op("Reshape", weight_name, graph.shape(-1, c_out))
    parts = []
    for group in range(groups):
        name = f"level{level}.group{group}"
        matrix = weight_name
        if groups > 1:
            matrix = graph.op("Gather", weight_name, f"{name}.offsets")
            matrix = graph.op("Reshape", matrix, graph.shape(-1, c_out))
        parts.append(_gathered_gemm(graph, x, f"{name}.rows", matrix, bias_name, add is None))
    result = graph.with_zero_row(parts, c_out)
    if add is not None:
        result = graph.op("Relu", graph.op("Add", result, add))
    step = graph.conv_step(result, x, f"same{level}", stored, bias_name)
    if add is not None:
        step["add"] = graph.known(add)
    return result


def _gathered_gemm(graph: _Graph, x: str, rows: str, matrix: str, bias: str, relu: bool) -> str:
    gathered = graph.op("Reshape", graph.op("Gather", x, rows), graph.shape(0, -1))
    product = graph.op("Gemm", gathered, matrix, bias)
    return graph.op("Relu", product) if relu else product


def _down(graph: _Graph, layer: NormedConv, x: str, level: int) -> str:
    weight, bias = _folded(layer.conv.weight, layer.norm)
    c_out = weight.shape[2]
    stored, bias_name = graph.matrix(weight), graph.constant(bias)
    matrix = graph.op("Reshape", stored, graph.shape(-1, c_out))
    y = _gathered_gemm(graph, x, f"level{level}.down", matrix, bias_name, relu=True)
    y = graph.with_zero_row([y], c_out)
    graph.conv_step(y, x, f"down{level}", stored, bias_name)
    return y


def _up(graph: _Graph, layer: NormedConv, x: str, level: int) -> str:
    # Every parent computes all of its eight children, and each voxel takes the one it is.
    weight, bias = _folded(layer.conv.weight, layer.norm)
    matrix = graph.matrix(weight.transpose(0, 1).flatten(1, 2))
    bias_name = graph.constant(bias.repeat(8))
    y = graph.op("Relu", graph.op("Gemm", x, matrix, bias_name))
    y = graph.op("Reshape", y, graph.shape(-1, weight.shape[2]))
    y = graph.with_zero_row([graph.op("Gather", y, f"level{level}.up")], weight.shape[2])
    graph.conv_step(y, x, f"up{level}", matrix, bias_name)
    return y


def _folded(weight: Tensor, norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Weights [..., C_out] with the batch norm after them multiplied in, and the bias [C_out]."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    bias = norm.bias.double() - norm.running_mean.double() * scale
    return (weight.double() * scale).float().cpu(), bias.float().cpu()


def _head(graph: _Graph, head: nn.Module, x: str, channels: int) -> tuple[str, int]:
    """The name and the channels of what a head makes of x."""
    if isinstance(head, nn.Sequential):
        for part in head:
            x, channels = _head(graph, part, x, channels)
    elif isinstance(head, nn.Linear):
        channels = head.out_features
        bias = torch.zeros(channels) if head.bias is None else head.bias.float().cpu()
        matrix, bias_name = graph.matrix(head.weight.t().float().cpu()), graph.constant(bias)
        y = graph.op("Gemm", x, matrix, bias_name)
        graph.conv_step(y, x, "rows", matrix, bias_name, relu=False)
        x = y
    elif isinstance(head, nn.ReLU):
        y = graph.op("Relu", x)
        graph.step("relu", y, x)
        x = y
    elif isinstance(head, UnitLength):
        length = graph.op("ReduceL2", x, axes=[1], keepdims=1)
        length = graph.op("Max", length, graph.constant(np.array(1e-12, np.float32)))
        y = graph.op("Div", x, length)
        graph.step("unit", y, x)
        x = y
    elif not isinstance(head, nn.Identity):
        raise TypeError(f"a head holds {type(head).__name__}, which has no export")
    return x, channels
