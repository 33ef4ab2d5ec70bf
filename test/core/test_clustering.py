import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from otoc_ros.core.boxes import upright_box
from otoc_ros.core.clustering import ClusteringSettings, cluster_instances

VOXEL = 0.05
THING = np.array([False, True, True])  # floor, chair, table


def block(corner, shape):
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    return (grid.reshape(-1, 3) * VOXEL + np.array(corner)).astype(np.float32)


def scene(*blocks):
    """blocks: (points, class). Returns xyz, offsets toward each block's centre, probabilities."""
    xyz = np.concatenate([points for points, _ in blocks])
    offset = np.concatenate([points.mean(axis=0) - points for points, _ in blocks])
    label = np.concatenate([[name] * len(points) for points, name in blocks])
    probability = np.full((len(xyz), 3), 0.05, np.float32)
    probability[np.arange(len(xyz)), label] = 0.9
    return xyz, offset.astype(np.float32), probability


def test_touching_objects_of_a_class_are_told_apart_by_their_offsets():
    left, right = block((0, 0, 0), (8, 8, 8)), block((8 * VOXEL, 0, 0), (8, 8, 8))
    xyz, offset, probability = scene((left, 1), (right, 1), (block((2, 2, 0), (5, 5, 5)), 2))
    instance, objects = cluster_instances(
        xyz, offset, probability, THING, VOXEL, ClusteringSettings()
    )
    assert [o.class_id for o in objects].count(1) == 2
    assert len(set(instance[:512])) == len(set(instance[512:1024])) == 1
    assert instance[0] != instance[512] != 0
    without, _ = cluster_instances(xyz, 0 * offset, probability, THING, VOXEL, ClusteringSettings())
    assert without[0] == without[512]  # only the offsets can tell


def test_stuff_and_specks_are_no_objects():
    xyz, offset, probability = scene(
        (block((0, 0, 0), (9, 9, 1)), 0), (block((2, 0, 0), (2, 2, 2)), 1)
    )
    instance, objects = cluster_instances(
        xyz, offset, probability, THING, VOXEL, ClusteringSettings(min_voxels=20)
    )
    assert objects == []
    assert (instance == 0).all()


def test_classes_are_never_mixed_in_one_object():
    xyz, offset, probability = scene(
        (block((0, 0, 0), (5, 5, 5)), 1), (block((5 * VOXEL, 0, 0), (5, 5, 5)), 2)
    )
    instance, objects = cluster_instances(
        xyz, offset, probability, THING, VOXEL, ClusteringSettings()
    )
    assert sorted(o.class_id for o in objects) == [1, 2]
    assert len(set(instance[:125])) == 1


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_any_input_gives_disjoint_objects_best_first_and_ignores_the_order_of_voxels(seed):
    rng = np.random.default_rng(seed)
    xyz = (rng.integers(0, 12, (300, 3)) * VOXEL).astype(np.float32)
    offset = rng.normal(0, 0.1, (300, 3)).astype(np.float32)
    probability = rng.dirichlet(np.ones(3), 300).astype(np.float32)
    chosen = ClusteringSettings(min_voxels=5, min_score=0.0)
    instance, objects = cluster_instances(xyz, offset, probability, THING, VOXEL, chosen)
    scores = [o.score for o in objects]
    assert scores == sorted(scores, reverse=True)
    for number, found in enumerate(objects, start=1):
        np.testing.assert_array_equal(np.flatnonzero(instance == number), found.voxels)
        assert len(found.voxels) >= 5
        assert THING[found.class_id]
    assert instance.max(initial=0) == len(objects)
    order = rng.permutation(300)
    shuffled, _ = cluster_instances(
        xyz[order], offset[order], probability[order], THING, VOXEL, chosen
    )
    pairs = np.unique(np.column_stack([instance[order], shuffled]), axis=0)
    assert len(pairs) <= len(np.unique(instance)) + 2  # equal but for ties of the score


def test_the_upright_box_is_tight_around_a_turned_object():
    points = block((0, 0, 0), (20, 8, 4))
    angle = np.deg2rad(30)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    box = upright_box((points @ turn.T).astype(np.float32))
    expected = np.sort(np.ptp(points, axis=0))
    np.testing.assert_allclose(np.sort(box.extent), expected, atol=0.02)
    np.testing.assert_allclose(box.corners().mean(axis=0), box.center, atol=1e-9)
    inside = (points @ turn.T - box.center) @ box.rotation
    assert (np.abs(inside) <= box.extent / 2 + 1e-6).all()
