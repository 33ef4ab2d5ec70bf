import numpy as np
import onnx
import onnxruntime
import pytest

from offline_training.export_propagator import propagator_onnx
from offline_training.networks import EMBEDDING, TEMPERATURE, UNSEEN
from otoc_ros.core.propagation import (
    PropagationSettings,
    affinities,
    fuse,
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
    session = onnxruntime.InferenceSession(propagator_onnx(bias, settings, {"name": "test"}))
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


def test_it_holds_standard_operators_only():
    model = onnx.load_from_string(
        propagator_onnx(np.zeros(3, np.float32), PropagationSettings(), {"key": "value"})
    )
    assert {node.domain for node in model.graph.node} == {""}
    assert {entry.key: entry.value for entry in model.metadata_props} == {"key": "value"}
