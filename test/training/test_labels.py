import numpy as np
from scipy.sparse import coo_matrix

from offline_training.labels import (
    NOBODY,
    PERSON,
    PSEUDO,
    class_thresholds,
    clicked_labels,
    grow_objects,
    object_numbers,
    object_paths,
    shared_objects,
    with_pseudo_labels,
)
from offline_training.scenes import Mark, TrainingScene, majority
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.preprocess import Preprocessing, preprocess


def marks(*entries):
    return tuple(Mark(*entry) for entry in entries)


def test_of_two_clicks_on_one_super_voxel_the_later_holds_and_exclusions_label_nothing():
    labels = clicked_labels(marks(("click", 0, 0, 2), ("accept", 1, 3, 2), ("exclude", 0, 0, 1)), 4)
    assert labels.label.tolist() == [-1, -1, 1, -1]
    assert labels.provenance.tolist() == [NOBODY, NOBODY, PERSON, NOBODY]


def test_pseudo_labels_never_replace_a_person_and_need_confidence():
    clicked = clicked_labels(marks(("click", 0, 1, 0)), 3)
    belief = np.array([[0.01, 0.99], [0.05, 0.95], [0.45, 0.55]], np.float32)
    labels = with_pseudo_labels(clicked, belief, np.array([0.9, 0.9]))
    assert labels.label.tolist() == [0, 1, -1]
    assert labels.provenance.tolist() == [PERSON, PSEUDO, NOBODY]
    np.testing.assert_allclose(labels.confidence, [1, 0.95, 0], atol=1e-6)


def test_what_no_click_reaches_is_not_labelled_by_chance():
    belief = np.array([[0.5, 0.5], [0.51, 0.49]], np.float32)
    everything = np.zeros(2)
    labels = with_pseudo_labels(clicked_labels((), 2), belief, everything)
    assert labels.label.tolist() == [-1, 0]


def test_thresholds_let_hard_classes_keep_up_but_not_below_the_floor():
    sure = np.column_stack([np.linspace(0.9, 1, 50), np.linspace(0.1, 0, 50)])
    hard = np.column_stack([np.linspace(0.3, 0.45, 50), np.linspace(0.7, 0.55, 50)])
    found = class_thresholds([sure, hard], share=0.4, accept=0.95, floor=0.6)
    assert found[0] == 0.95
    assert 0.6 <= found[1] <= 0.65
    assert class_thresholds([hard], share=1.0, accept=0.95, floor=0.6)[1] == 0.6


def test_objects_grow_over_touching_super_voxels_of_their_class_from_the_nearest_click():
    # 0 - 1 - 2 - 3 - 4 in a row of one class, 5 of another class, 6 touches nothing.
    edges = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]
    length = [1, 1, 1.5, 1, 1]
    graph = coo_matrix((length, tuple(zip(*edges, strict=True))), shape=(7, 7)).tocsr()
    label = np.array([0, 0, 0, 0, 0, 1, 0], np.int32)
    scene = TrainingScene("s", None, (), (), marks(("click", 0, 1, 0), ("click", 0, 2, 4)))
    assert grow_objects(scene, label, graph).tolist() == [0, 0, 0, 1, 1, -1, -1]
    nobody = TrainingScene("s", None, (), (), ())
    assert (grow_objects(nobody, label, graph) == -1).all()


def test_what_touches_in_a_concave_crease_is_parted_there_and_not_half_way_between_the_clicks():
    # A low box, clicked at its far end, against a tall one, clicked at its foot: seen from above.
    side = np.arange(0, 0.3, 0.01)
    x, y = (axis.ravel() for axis in np.meshgrid(side, side))
    top = np.column_stack([x, y, 0 * x])
    front = np.column_stack([0 * x + 0.3, y, x])
    xyz = (np.concatenate([top, front]) - [0.15, 0.15, 1.5]).astype(np.float32)
    settings = Preprocessing(voxel_size=0.02, supervoxel_size=0.06)
    prepared = preprocess(Cloud(xyz), settings, np.array([0.0, 0, 1]))
    owner_of = prepared.to_points(prepared.supervoxel, fill=-1)
    far, foot = owner_of[0], owner_of[len(top) + np.abs(x - 0.05).argmin()]
    scene = TrainingScene("s", prepared, (), (), marks(("click", 0, 1, far), ("click", 0, 2, foot)))
    label = np.zeros(prepared.n_supervoxels, np.int32)
    owner = grow_objects(scene, label, object_paths(scene))[owner_of]
    inner = np.concatenate([top[:, 0] < 0.27, front[:, 2] > 0.03])
    expected = np.repeat([0, 1], [len(top), len(front)])
    assert (owner == expected)[inner].mean() > 0.95


def test_shares_tell_touching_objects_of_a_class_apart_and_a_label_picks_among_them():
    chair, table = 0, 1
    label = np.array([chair, chair, chair, table, chair, table, -1], np.int32)
    share = np.array(
        [
            [1, 0, 0],
            [0.6, 0.4, 0],
            [0.2, 0.8, 0],
            [0, 0.6, 0.4],
            [0.01, 0.1, 0.8],
            [1, 0, 0],
            [1, 0, 0],
        ],
        np.float32,
    )
    clicks = marks(
        ("click", chair, 1, 0), ("exclude", table, 0, 1), ("click", chair, 2, 2),
        ("click", table, 3, 3),
    )  # fmt: skip
    scene = TrainingScene("s", None, (), (), clicks)
    # No chair has a part of 4, and no table of 5.
    assert shared_objects(scene, label, share).tolist() == [0, 0, 2, 3, -1, -1, -1]


def test_marks_of_one_number_are_one_object_and_stuff_is_none():
    wall, chair = 0, 1
    clicks = marks(
        ("click", wall, 0, 0), ("click", chair, 4, 1), ("click", chair, 4, 2),
        ("click", chair, 0, 3), ("click", chair, 0, 4),
    )  # fmt: skip
    scene = TrainingScene("s", None, (), (), clicks)
    owner = np.array([0, 1, 2, 3, 4, -1], np.int32)
    numbers = object_numbers(scene, owner, np.array([False, True]))
    assert numbers[0] == numbers[5] == 0
    assert numbers[1] == numbers[2] == 4
    assert len({*numbers[1:5].tolist()}) == 3 and numbers[3] > 4  # unnumbered ones are their own


def test_majority():
    values = np.array([3, 3, 5, 1, 2, 7], np.int32)
    rows = np.array([0, 0, 0, 1, 1, -1], np.int32)
    assert majority(values, rows, 2).tolist() == [3, 1]
