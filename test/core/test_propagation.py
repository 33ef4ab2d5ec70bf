import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoc_ros.core.propagation import affinities, mean_field, neighbour_graph


def dense_mean_field(log_unary, affinity, weight, steps):
    """The textbook form with an M × M matrix."""

    def softmax(rows):
        rows = np.exp(rows - rows.max(axis=1, keepdims=True))
        return rows / rows.sum(axis=1, keepdims=True)

    belief = softmax(log_unary)
    for _ in range(steps):
        belief = softmax(log_unary + weight * affinity @ belief)
    return belief


@given(st.integers(1, 40), st.integers(1, 12), st.integers(2, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_mean_field_on_the_sparse_graph_is_dense_mean_field(count, wanted, classes, seed):
    rng = np.random.default_rng(seed)
    position = rng.normal(size=(count, 3)).astype(np.float32)
    log_unary = np.log(rng.dirichlet(np.ones(classes), count)).astype(np.float32)
    graph = neighbour_graph(position, wanted)
    affinity = affinities(graph, (position, 1.0))
    dense = np.zeros((count, count))
    np.add.at(dense, (np.arange(count)[:, None], graph), affinity)
    expected = dense_mean_field(log_unary.astype(float), dense, 0.7, 5)
    found = mean_field(log_unary, graph, affinity, weight=0.7, steps=5)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_neighbours_are_the_nearest_others(count, wanted, seed):
    rng = np.random.default_rng(seed)
    position = rng.integers(0, 4, size=(count, 3)).astype(np.float32)  # many at one place
    graph = neighbour_graph(position, wanted)
    distance = np.linalg.norm(position[:, None] - position[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    present = min(wanted, count - 1)
    for row in range(count):
        others = graph[row, :present]
        assert row not in others
        assert len(set(others.tolist())) == present
        np.testing.assert_allclose(np.sort(distance[row, others]), np.sort(distance[row])[:present])
        assert (graph[row, present:] == row).all()


def test_a_label_walks_along_a_chain_and_stops_at_a_border():
    # Ten super-voxels in a row; the colour changes after the fifth; each end is certain.
    position = np.stack([np.arange(10), np.zeros(10), np.zeros(10)], axis=1).astype(np.float32)
    colour = np.where(np.arange(10)[:, None] < 5, 0.2, 0.8).repeat(3, axis=1).astype(np.float32)
    log_unary = np.full((10, 2), np.log(0.5), np.float32)
    log_unary[0] = np.log([0.99, 0.01])
    log_unary[9] = np.log([0.01, 0.99])
    graph = neighbour_graph(position, 2)
    affinity = affinities(graph, (position, 1.0), (colour, 0.1))
    belief = mean_field(log_unary, graph, affinity, weight=5.0, steps=10)
    assert belief.argmax(axis=1).tolist() == [0] * 5 + [1] * 5


@pytest.mark.parametrize("count", [1, 2])
def test_hardly_any_super_voxels(count):
    graph = neighbour_graph(np.zeros((count, 3), np.float32), 8)
    affinity = affinities(graph, (np.zeros((count, 3), np.float32), 1.0))
    belief = mean_field(np.zeros((count, 3), np.float32), graph, affinity, weight=1.0, steps=5)
    np.testing.assert_allclose(belief, 1 / 3, atol=1e-6)
