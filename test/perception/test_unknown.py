"""What is like nothing learnt is told, and left without a class where that is asked for."""

from dataclasses import replace

import numpy as np
import pytest
from small_site import small_scene

from otoc_ros.core.confidence import strangeness
from otoc_ros.core.propagation import log_softmax
from otoc_ros.perception import Perception
from otoc_ros.perception.bank import Lesson
from otoc_ros.site.classes import ClassInfo

UP = np.array([0.0, 0.0, 1.0])
NOBODY = np.empty((3, 0), np.int32)


def test_it_is_strange_to_be_unlike_every_prototype_and_every_class():
    sure = log_softmax(np.float32([[9, 0, 0], [9, 0, 0], [0, 0, 0]]))
    cosine = np.float32([[1, 0], [0.2, 0.1], [1, 0.3]])
    found = strangeness(sure, cosine, NOBODY, NOBODY.astype(np.float32))
    np.testing.assert_allclose(found, [0, 1 - np.exp(-1.6), 2 / 3], atol=1e-3)


def test_neighbours_that_are_alike_share_their_strangeness():
    unsure = log_softmax(np.float32([[9, 0], [0, 0], [9, 0]]))
    cosine = np.ones((3, 1), np.float32)
    graph = np.int32([[1], [0], [2]])
    affinity = np.float32([[1], [1], [0]])
    found = strangeness(unsure, cosine, graph, affinity)
    assert found[0] == pytest.approx(found[1])
    assert 0.2 < found[0] < 0.4
    assert found[2] < 1e-3


@pytest.fixture(scope="module")
def perception(tiny_bundle):
    return Perception(tiny_bundle)


def test_the_bundle_says_from_where_on_things_are_unknown(tiny_bundle, perception):
    cloud, _ = small_scene(60)
    plain = perception(cloud, UP)
    assert 0 < perception.confidence.strange_above < 1
    assert (plain.class_id >= 0).all()
    assert plain.strangeness.min() >= 0
    assert plain.strangeness.max() <= 1
    wary = Perception(tiny_bundle, leave_unknown=True)
    threshold = float(np.quantile(plain.strangeness, 0.7))
    wary.confidence = wary.confidence.model_copy(update={"strange_above": threshold})
    found = wary(cloud, UP)
    unknown = plain.strangeness > np.float32(threshold)
    assert 0.05 < unknown.mean() < 0.5
    np.testing.assert_array_equal(found.class_id, np.where(unknown, -1, plain.class_id))
    assert (found.instance[unknown] == 0).all()
    kept = {thing.id for thing in found.objects}
    assert kept == set(np.unique(found.instance)) - {0}
    assert len(kept) < len(plain.objects)
    for thing in found.objects:  # an object is known as a whole or not at all
        assert (found.class_id[found.instance == thing.id] == thing.class_id).all()


def test_what_a_person_taught_is_not_strange(perception):
    cloud, _ = small_scene(61)
    seen = perception.see(cloud, UP)
    before = perception.label(seen, perception.untaught)
    row = int(before.strangeness.argmax())
    place = before.supervoxel[row]
    lesson = Lesson(
        "a", "scene", "vase", seen.embedding[[place]], seen.colour[[place]], threshold=0.95
    )
    bank = perception.untaught.taught(lesson, ClassInfo(name="vase", color=(1, 2, 3), kind="stuff"))
    after = perception.label(seen, bank)
    assert before.strangeness[row] > 0
    assert after.strangeness[row] == 0


def test_strangeness_comes_back_on_the_points_and_nothing_is_known_of_dropped_ones(perception):
    cloud, _ = small_scene(62)
    xyz = cloud.xyz.copy()
    xyz[::7] = np.nan
    found = perception(replace(cloud, xyz=xyz), UP)
    assert (found.strangeness[::7] == 1).all()
    assert found.strangeness.shape == (len(xyz),)
