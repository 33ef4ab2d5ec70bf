import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from offline_training.export_propagator import graph_onnx, transformer_onnx
from offline_training.networks import EMBEDDING, TEMPERATURE, UNSEEN
from offline_training.transformer import TransformerPropagation
from otoc_ros.core.propagation import (
    PropagationSettings,
    affinities,
    fuse,
    log_softmax,
    mean_field,
    neighbour_graph,
    unit_rows,
)


@pytest.mark.parametrize("count", [1, 7, 400])
def test_the_exported_propagator_is_the_one_that_training_uses(count):
    rng = np.random.default_rng(count)
    settings = PropagationSettings(neighbours=6, weight=1.3, unary_share=0.7, temperature=1.5)
    bias = np.array([-0.5, -2.0, UNSEEN, -1.0], np.float32)
    log_theta = np.log(rng.dirichlet(np.ones(4), count)).astype(np.float32)
    embedding = unit_rows(rng.normal(size=(count, EMBEDDING)).astype(np.float32))
    bank = unit_rows(rng.normal(size=(5, EMBEDDING)).astype(np.float32))  # one class more than C
    graph = neighbour_graph(rng.normal(size=(count, 3)).astype(np.float32), settings.neighbours)
    affinity = affinities(graph, (embedding, 1.0))
    session = onnxruntime.InferenceSession(graph_onnx(bias, settings, {"name": "test"}))
    probability, similarity = session.run(
        ["probability", "similarity"],
        {
            "log_theta": log_theta,
            "embedding": embedding,
            "prototypes": bank,
            "neighbours": graph,
            "affinity": affinity,
        },
    )
    cosine = embedding @ bank.T
    scores = (cosine[:, :4] / TEMPERATURE + bias).astype(np.float32)
    unary = fuse(log_theta, scores, settings)
    expected = mean_field(unary, graph, affinity, settings.weight, settings.steps)
    np.testing.assert_allclose(similarity, cosine, atol=1e-5)
    np.testing.assert_allclose(probability, expected, atol=1e-4)
    assert (probability[:, 2] < 1e-6).all()


@pytest.mark.parametrize("count", [1, 400])
def test_the_exported_transformer_is_the_one_that_was_trained(count):
    torch.manual_seed(count)
    rng = np.random.default_rng(count)
    settings = PropagationSettings(kind="transformer", unary_share=0.6, temperature=1.5)
    transformer = TransformerPropagation(width=24, classes=4).eval()
    bias = np.array([-0.5, -2.0, UNSEEN, -1.0], np.float32)
    feature = rng.random((count, 24)).astype(np.float32)
    embedding = unit_rows(rng.normal(size=(count, EMBEDDING)).astype(np.float32))
    bank = unit_rows(rng.normal(size=(6, EMBEDDING)).astype(np.float32))  # two more than C
    session = onnxruntime.InferenceSession(transformer_onnx(transformer, bias, settings, {}))
    assert {given.name for given in session.get_inputs()} == {"feature", "embedding", "prototypes"}
    feeds = {"feature": feature, "embedding": embedding, "prototypes": bank}
    probability, similarity = session.run(["probability", "similarity"], feeds)
    seen = torch.tensor([True, True, False, True])
    with torch.no_grad():
        logits = transformer(torch.from_numpy(feature), torch.from_numpy(bank[:4]), seen)
    cosine = embedding @ bank.T
    scores = (cosine[:, :4] / TEMPERATURE + bias).astype(np.float32)
    expected = np.exp(fuse(log_softmax(logits.numpy()), scores, settings))
    np.testing.assert_allclose(similarity, cosine, atol=1e-5)
    np.testing.assert_allclose(probability, expected, atol=1e-5)
    assert (probability[:, 2] < 1e-6).all()
    # A class without a prototype gets no attention, whatever lies in its row.
    bank[2] = -bank[2]
    again = session.run(["probability"], feeds)[0]
    np.testing.assert_array_equal(again, probability)


def exported(kind):
    bias, metadata = np.zeros(3, np.float32), {"key": "value"}
    if kind == "graph":
        return graph_onnx(bias, PropagationSettings(), metadata)
    return transformer_onnx(TransformerPropagation(8, 3), bias, PropagationSettings(), metadata)


@pytest.mark.parametrize("kind", ["graph", "transformer"])
def test_it_holds_standard_operators_only(kind):
    model = onnx.load_from_string(exported(kind))
    assert {node.domain for node in model.graph.node} == {""}
    assert {entry.key: entry.value for entry in model.metadata_props} == {"key": "value"}
