import itertools
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from offline_training.export import OPSET, write_sparse_onnx
from offline_training.settings import PRESETS
from offline_training.sparse import Maps
from offline_training.unet import UNet, UnitLength
from otoc_ros.core import native
from otoc_ros.core.native_network import METADATA_KEY, NativeNetwork
from otoc_ros.core.onnx_file import read_onnx
from otoc_ros.core.pairs import sparse_pairs
from otoc_ros.core.sparse_feeds import groups_of_level, sparse_feeds

CHANNELS, WIDTH, LEVELS = 6, 16, 5


def surface(count, seed=0):
    """Voxels of a crumpled sheet, some of its neighbourhood and some stray ones."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(count)))
    x, y = np.divmod(np.arange(side * side), side)
    z = np.round(side / 8 * (1 + np.sin(x / 7) * np.cos(y / 9))) + rng.integers(0, 2, side * side)
    coords = np.unique(np.stack([x, y, z], 1).astype(np.int32), axis=0)
    return coords[np.sort(rng.permutation(len(coords))[:count])]


CLOUDS = {
    "one": np.zeros((1, 3), np.int32),
    "two apart": np.array([[0, 0, 0], [40, 0, 0]], np.int32),
    "two touching": np.array([[7, 7, 7], [8, 8, 8]], np.int32),
    "a line": np.array([[0, 0, z] for z in range(33)], np.int32),
    "a cube": np.array(list(itertools.product(range(7), repeat=3)), np.int32),
    "a small sheet": surface(300),
    "a sheet": surface(10_000),
    "a batch": np.concatenate(
        [np.insert(surface(900, seed), 0, seed, axis=1).astype(np.int32) for seed in range(3)]
    ),
}


def trained_looking(module):
    """Batch norms whose statistics and weights are not those of a fresh network."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d):
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.normal_(part.running_mean, 0, 0.3)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.3)
    return module.eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    torch.manual_seed(0)
    unet = trained_looking(UNet(CHANNELS, WIDTH, LEVELS))
    heads = {
        "logits": nn.Linear(WIDTH, 13),
        "offset": nn.Sequential(
            nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 3, bias=False)
        ),
        "embedding": nn.Sequential(nn.Linear(WIDTH, 32), UnitLength()),
        "feature": nn.Identity(),
    }
    path = tmp_path_factory.mktemp("onnx") / "unet.onnx"
    write_sparse_onnx(path, unet, heads, CHANNELS, {"voxel_size": "0.02", "name": "Büro 3"})
    return path, unet, heads


@pytest.fixture(scope="module")
def session(exported):
    return onnxruntime.InferenceSession(exported[0], providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", CLOUDS)
def test_an_exported_network_gives_what_the_trained_one_gives(exported, session, name):
    _, unet, heads = exported
    coords = CLOUDS[name]
    features = torch.randn(len(coords), CHANNELS, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        x = unet(features, Maps.build(coords, LEVELS))
        expected = {key: head(x).numpy() for key, head in heads.items()}
    feeds = {"features": features.numpy(), **sparse_feeds(coords, LEVELS)}
    results = session.run(list(heads), feeds)
    for key, result in zip(heads, results, strict=True):
        assert result.shape == (len(coords), expected[key].shape[1])
        np.testing.assert_allclose(result, expected[key], atol=1e-4, err_msg=key)


@pytest.mark.skipif(native.library() is None, reason="the C++ kernel is not built")
@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_the_native_kernel_gives_what_onnxruntime_gives(exported, tmp_path, storage):
    path, (_, unet, heads) = tmp_path / "unet.onnx", exported
    write_sparse_onnx(path, unet, heads, CHANNELS, {}, storage)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    network = NativeNetwork(read_onnx(path.read_bytes()), threads=2)
    for name, coords in CLOUDS.items():
        features = np.random.default_rng(0).normal(size=(len(coords), CHANNELS))
        features = features.astype(np.float32)
        theirs = session.run(list(heads), {"features": features, **sparse_feeds(coords, LEVELS)})
        ours = network({"features": features, **sparse_pairs(coords, LEVELS)})
        assert set(ours) == set(heads)
        for key, expected in zip(heads, theirs, strict=True):
            np.testing.assert_allclose(ours[key], expected, atol=1e-4, err_msg=f"{name} {key}")


def test_a_file_is_read_as_the_onnx_package_reads_it(exported):
    model, ours = onnx.load(exported[0]), read_onnx(exported[0].read_bytes())
    assert ours.metadata == {entry.key: entry.value for entry in model.metadata_props}
    assert set(ours.tensors) == {tensor.name for tensor in model.graph.initializer}
    for tensor in model.graph.initializer:
        expected = onnx.numpy_helper.to_array(tensor)
        np.testing.assert_array_equal(ours.tensors[tensor.name], expected)
        assert ours.tensors[tensor.name].dtype == expected.dtype


def test_bytes_that_are_no_such_file_are_refused(exported):
    whole = exported[0].read_bytes()
    for broken in (whole[: len(whole) // 2], whole[:-1], b"\xff" * 40, b"not an ONNX file at all"):
        with pytest.raises(ValueError, match="ONNX"):
            read_onnx(broken)
    file = read_onnx(whole)
    file.metadata[METADATA_KEY] = '{"format": 99}'
    with pytest.raises(ValueError, match="format 99"):
        NativeNetwork(file, threads=1)


def test_the_widest_preset_fits_its_file(tmp_path):
    base = PRESETS["base"]
    heads = {"logits": nn.Linear(base.width, 20), "feature": nn.Identity()}
    path = tmp_path / "base.onnx"
    write_sparse_onnx(path, UNet(9, base.width, base.levels), heads, 9, {}, "int8")
    assert path.stat().st_size < 40e6


def test_another_runtime_gives_the_same(exported, session):
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(exported[0]), "CPU", exact)
    for name, coords in CLOUDS.items():
        features = np.random.default_rng(0).normal(size=(len(coords), CHANNELS))
        feeds = {"features": features.astype(np.float32), **sparse_feeds(coords, LEVELS)}
        theirs = compiled(feeds)
        for number, ours in enumerate(session.run(list(exported[2]), feeds)):
            np.testing.assert_allclose(theirs[number], ours, atol=1e-4, err_msg=name)


def test_only_standard_operators_of_one_opset(exported):
    model = onnx.load(exported[0])
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]
    assert {node.op_type for node in model.graph.node} == {
        *("Gather", "Reshape", "Gemm", "Relu", "Concat", "Add", "MatMul"),  # the network
        *("ReduceL2", "Max", "Div", "Identity"),  # its heads
    }
    assert all(not tensor.external_data for tensor in model.graph.initializer)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    known = {value.name for value in [*inferred.graph.value_info, *inferred.graph.output]}
    assert known >= {name for node in model.graph.node for name in node.output}


@pytest.mark.parametrize(
    ("storage", "share", "error"), [("float16", 0.52, 3e-3), ("int8", 0.28, 0.1)]
)
def test_small_files(exported, tmp_path, storage, share, error):
    path, unet, heads = exported
    small = tmp_path / "small.onnx"
    write_sparse_onnx(small, unet, heads, CHANNELS, {}, storage)
    assert small.stat().st_size < share * path.stat().st_size
    coords = CLOUDS["a sheet"]
    features = np.random.default_rng(0).normal(size=(len(coords), CHANNELS)).astype(np.float32)
    feeds = {"features": features, **sparse_feeds(coords, LEVELS)}
    exact, lossy = (
        onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(
            ["logits"], feeds
        )
        for file in (path, small)
    )
    assert 0 < np.abs(lossy[0] - exact[0]).max() < error * exact[0].std()


def test_metadata(session):
    metadata = session.get_modelmeta().custom_metadata_map
    del metadata[METADATA_KEY]
    assert metadata == {"voxel_size": "0.02", "name": "Büro 3", "levels": "5"}


@pytest.mark.parametrize("name", CLOUDS)
def test_groups_hold_every_neighbour_once(name):
    coords = CLOUDS[name]
    feeds = sparse_feeds(coords, 2)
    pairs = Counter()
    offset = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    full = coords if coords.shape[1] == 4 else np.insert(coords, 0, 0, axis=1)
    first = 0
    for group in range(groups_of_level(0)):
        rows = feeds[f"level0.group{group}.rows"]
        assert rows.dtype == np.int32 and len(rows) > 0
        for i, k in np.argwhere(rows >= 0):
            moved = full[feeds["order"][rows[i, k]]] - full[feeds["order"][first + i]]
            assert moved[0] == 0
            assert np.array_equal(moved[1:], offset[feeds[f"level0.group{group}.offsets"][k]])
            pairs[first + i] += 1
        first += len(rows)
    assert first == len(feeds["order"]) - 1
    assert np.array_equal(feeds["order"][feeds["place"]], np.arange(len(coords)))
    if len(coords) < 1000:
        apart = np.abs(full[:, None] - full[None]).max(
            2, where=[False, True, True, True], initial=0
        )
        touching = (apart <= 1) & (full[:, None, 0] == full[None, :, 0])
        assert [pairs[row] for row in feeds["place"]] == touching.sum(1).tolist()


def test_a_head_that_cannot_be_exported_is_refused(exported, tmp_path):
    with pytest.raises(TypeError, match="Tanh"):
        write_sparse_onnx(tmp_path / "x.onnx", exported[1], {"logits": nn.Tanh()}, CHANNELS, {})
