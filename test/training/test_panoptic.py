import numpy as np
import pytest

from offline_training.panoptic import PanopticScore

FLOOR, CHAIR = 0, 1
THING = np.array([False, True])


def scored(semantic, instance, found_semantic, found_instance):
    score = PanopticScore(THING)
    score.add(
        *(np.asarray(a, np.int32) for a in (semantic, instance, found_semantic, found_instance))
    )
    return score


def test_a_perfect_scene():
    semantic, instance = np.repeat([0, 1, 1], 10), np.repeat([0, 1, 2], 10)
    assert scored(semantic, instance, semantic, instance + 5 * (instance > 0)).pq() == 1


def test_quality_is_overlap_times_recognition():
    semantic, instance = np.repeat([0, 1, 1], 10), np.repeat([0, 1, 2], 10)
    # One chair with IoU 8/10, one missed, one invented on the floor (4 points).
    found_semantic, found_instance = np.zeros(30, int), np.zeros(30, int)
    found_semantic[10:18], found_instance[10:18] = CHAIR, 1
    found_semantic[:4], found_instance[:4] = CHAIR, 2
    quality = scored(semantic, instance, found_semantic, found_instance).quality()
    assert quality[CHAIR] == pytest.approx(0.8 / (1 + 0.5 + 0.5))
    assert quality[FLOOR] == 0  # IoU 6/28: no match, one missed and one wrong


def test_half_an_overlap_is_no_match():
    semantic, instance = np.repeat([1, 0], [10, 10]), np.repeat([1, 0], [10, 10])
    found = np.where(np.arange(20) < 5, 1, 0)
    assert scored(semantic, instance, found, found).quality()[CHAIR] == 0


def test_void_is_taken_off_and_a_segment_on_void_is_no_mistake():
    semantic, instance = np.repeat([1, -1], 10), np.repeat([1, 0], 10)
    found_semantic, found_instance = np.ones(20), np.repeat([1, 1, 2, 2], 5)
    found_instance[:15] = 1  # 10 of it on the chair, 5 on void
    score = scored(semantic, instance, found_semantic, found_instance)
    assert score.quality()[CHAIR] == 1
    assert score.wrong[CHAIR] == 0


def test_segments_are_of_a_scene_and_counts_of_the_set():
    score = PanopticScore(THING)
    chair = np.ones(10, np.int32)
    score.add(chair, chair, chair, chair)
    score.add(chair, chair, np.zeros(10, np.int32), np.zeros(10, np.int32))
    assert score.quality()[CHAIR] == pytest.approx(1 / 1.5)
    assert np.isnan(PanopticScore(THING).pq())
