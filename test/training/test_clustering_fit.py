import numpy as np
import pytest

from offline_training.clustering_fit import (
    STANDING,
    LabelledObjects,
    fit_clustering,
    labelled_objects,
)
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.clustering import ClusteringSettings
from otoc_ros.core.preprocess import Preprocessing, preprocess
from otoc_ros.perception import Understanding

THING = np.array([False, True])
UP = np.array([0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def standing():
    """A post on a board, both things, about which the networks know nothing but the class."""
    side = np.arange(0, 1, 0.01)
    x, y = (axis.ravel() for axis in np.meshgrid(side, side))
    board = np.column_stack([x, y, 0 * x])
    post = np.column_stack([0.3 + 0.4 * x, 0 * x + 0.5, y])
    cloud = Cloud(np.concatenate([board, post]).astype(np.float32))
    prepared = preprocess(cloud, Preprocessing(voxel_size=0.03), UP)
    belief = np.tile(np.array([0.1, 0.9], np.float32), (prepared.n_supervoxels, 1))
    offset = np.zeros_like(prepared.xyz)
    high = prepared.xyz[:, 2] > 0.05
    return Understanding(prepared, offset, belief), high


def chosen(seen, instance):
    labelled = LabelledObjects(np.ones(len(instance), np.int32), instance.astype(np.int32))
    return fit_clustering([(seen, labelled)], THING, ClusteringSettings()).standing_weight


def test_creases_count_where_they_divide_the_clicked_objects_and_not_where_they_do_not(standing):
    seen, high = standing
    assert chosen(seen, np.where(high, 2, 1)) > 0
    assert chosen(seen, np.ones(len(high))) == 0


def test_of_settings_as_good_the_one_that_asks_creases_most_wins():
    # A board alone has no crease, so that every weight finds it.
    side = np.arange(0, 1, 0.01)
    x, y = (axis.ravel() for axis in np.meshgrid(side, side))
    board = np.column_stack([x, y, 0 * x]).astype(np.float32)
    prepared = preprocess(Cloud(board), Preprocessing(voxel_size=0.03), UP)
    belief = np.tile(np.array([0.1, 0.9], np.float32), (prepared.n_supervoxels, 1))
    seen = Understanding(prepared, np.zeros_like(prepared.xyz), belief)
    assert chosen(seen, np.ones(len(prepared.xyz))) == max(STANDING)


def test_without_objects_nothing_is_chosen(standing):
    seen, high = standing
    nothing = LabelledObjects(np.full(len(high), -1, np.int32), np.zeros(len(high), np.int32))
    settings = ClusteringSettings(standing_weight=1.5, colour_weight=0.5)
    assert fit_clustering([(seen, nothing)], THING, settings) == settings


def test_what_is_no_clicks_object_is_unknown(standing):
    prepared = standing[0].prepared
    label = np.ones(prepared.n_supervoxels, np.int32)
    labelled = labelled_objects(prepared, label, 7 * label, THING)
    assert set(labelled.instance) == {7} and (labelled.semantic == 1).all()
    nobodys = labelled_objects(prepared, label, 0 * label, THING)
    assert (nobodys.semantic == -1).all()
    assert (nobodys.instance == 0).all()
    stuff = labelled_objects(prepared, 0 * label, 0 * label, THING)
    assert (stuff.semantic == 0).all()
