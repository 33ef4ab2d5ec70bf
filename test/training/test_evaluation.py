import numpy as np
import pytest

from offline_training.evaluation import InstanceScore, PredictedObjects, SemanticScore


def test_iou_is_accumulated_over_the_set_and_counts_missing_predictions():
    score = SemanticScore(3)
    score.add(np.array([0, 0, 1, -1]), np.array([0, 1, 1, 0]))
    score.add(np.array([0, 1]), np.array([0, -1]))
    np.testing.assert_allclose(score.iou(), [2 / 3, 1 / 3, np.nan])
    assert score.miou() == pytest.approx(0.5)


def scored(truth, guess, classes, scores, semantic=None):
    semantic = np.where(truth > 0, 0, 1) if semantic is None else semantic
    result = InstanceScore([0], min_region=2)
    result.add(
        semantic.astype(np.int32),
        truth.astype(np.int32),
        PredictedObjects(guess.astype(np.int32), np.array(classes), np.array(scores, float)),
    )
    return result


def test_perfect_objects_score_one():
    truth = np.repeat([1, 2, 0], 10)
    assert scored(truth, truth, [0, 0], [0.9, 0.8]).summary() == {"ap": 1, "ap50": 1, "ap25": 1}


def test_one_of_two_objects_found():
    truth = np.repeat([1, 2, 0], 10)
    guess = np.repeat([1, 0, 0], 10)
    # Precision 1 up to recall 0.5; ScanNet's trapezoid gives exactly that half.
    assert scored(truth, guess, [0], [0.9]).summary()["ap50"] == pytest.approx(0.5)


def test_overlap_decides():
    truth = np.repeat([1, 0], [10, 10])
    guess = np.repeat([1, 0], [6, 14])  # IoU 0.6
    summary = scored(truth, guess, [0], [0.9]).summary()
    assert summary["ap25"] == summary["ap50"] == 1
    assert summary["ap"] == pytest.approx(0.2)  # 0.50 and 0.55 of ten overlaps


def test_a_better_scored_false_object_costs_precision():
    truth = np.repeat([1, 0, 0], 10)
    guess = np.repeat([1, 2, 0], 10)
    # Thresholds 0.5 (precision 1/2, recall 1) and 0.9 (precision 0, recall 0).
    assert scored(truth, guess, [0, 0], [0.5, 0.9]).summary()["ap50"] == pytest.approx(0.25)
    assert scored(truth, guess, [0, 0], [0.9, 0.5]).summary()["ap50"] == pytest.approx(1.0, abs=0.3)


def test_a_second_prediction_on_one_object_is_false():
    truth = np.repeat([1, 2, 0], 20)
    guess = np.repeat([1, 2, 3, 0], [11, 9, 20, 20])
    # At overlap 0.25 both halves match the first object: hits 0.95 and 0.5, false 0.9.
    # Thresholds 0.5, 0.9, 0.95: precision 2/3, 1/2, 1; recall 1, 1/2, 1/2.
    halves = scored(truth, guess, [0, 0, 0], [0.9, 0.95, 0.5])
    assert halves.average_precision(0, 0.25) == pytest.approx(2 / 3 / 4 + 1 / 2 / 4 + 1 / 4 + 1 / 4)


def test_predictions_on_void_do_not_count():
    truth = np.repeat([1, 0, 0], 10)
    semantic = np.repeat([0, -1, 1], 10)
    on_void = np.repeat([1, 2, 0], 10)
    on_stuff = np.repeat([1, 0, 2], 10)
    assert scored(truth, on_void, [0, 0], [0.5, 0.9], semantic).summary()["ap50"] == 1
    assert scored(truth, on_stuff, [0, 0], [0.5, 0.9], semantic).summary()["ap50"] < 1


def test_small_true_objects_are_ignored_and_missing_classes_are_nan():
    truth = np.repeat([1, 2, 0], [10, 1, 10])
    guess = np.repeat([1, 0, 0], [10, 1, 10])
    assert scored(truth, guess, [0], [0.9]).summary()["ap50"] == 1
    nothing = scored(np.zeros(5), np.zeros(5), [], [])
    assert np.isnan(nothing.summary()["ap50"])
