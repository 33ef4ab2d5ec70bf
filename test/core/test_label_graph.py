import numpy as np
from grey_box import grey_box_on_a_grey_floor

from otoc_ros.core.label_graph import TOUCHING, label_graph
from otoc_ros.core.look import Look
from otoc_ros.core.propagation import PropagationSettings


def graph_of_a_box(settings: PropagationSettings):
    prepared, _ = grey_box_on_a_grey_floor()
    look, count = Look.of(prepared), prepared.n_supervoxels
    same = np.ones((count, 4), np.float32)  # networks tell nothing apart
    return look, *label_graph(prepared, look, same, same, settings)


def test_what_touches_is_joined_and_a_crease_parts_it():
    settings = PropagationSettings(neighbours=5, touching_weight=3.0)
    look, neighbours, affinity = graph_of_a_box(settings)
    count = len(look.center)
    assert neighbours.shape == affinity.shape == (count, 5 + TOUCHING)
    touching, strength = neighbours[:, 5:], affinity[:, 5:]
    missing = touching == np.arange(count)[:, None]
    assert (strength[missing] == 0).all() and (strength[~missing] > 0).all()
    assert strength.max() <= 3.0
    assert (np.diff(strength, axis=1) <= 0).all()  # those without a border first
    upright = look.direction[:, 2]
    straight, bent = [], []
    for row in np.flatnonzero(upright > 0.9):
        found = touching[row][~missing[row]]
        weight = strength[row][~missing[row]]
        straight += weight[upright[found] > 0.9].tolist()
        bent += weight[upright[found] < 0.5].tolist()
    assert len(straight) > 5 and len(bent) > 5
    assert np.median(straight) > 2 * np.median(bent)


def test_bundles_that_do_not_know_of_borders_have_the_graph_that_they_had():
    _, neighbours, _ = graph_of_a_box(PropagationSettings(neighbours=5))
    assert neighbours.shape[1] == 5


def test_a_transformer_needs_no_graph():
    _, neighbours, affinity = graph_of_a_box(PropagationSettings(kind="transformer"))
    assert neighbours.shape[1] == affinity.shape[1] == 0
