import numpy as np
import pytest

from offline_training.identity_score import IdentityScore


def scored(*clouds, known=True):
    """clouds: (truth, predicted) as object numbers of 200 points each."""
    score = IdentityScore()
    for truth, predicted in clouds:
        truth, predicted = (np.repeat(ids, 200).astype(np.int32) for ids in (truth, predicted))
        score.add(truth, predicted, np.full(len(truth), known))
    return score.idf1()


def test_the_same_ids_throughout_are_right_whatever_they_are_called():
    assert scored(([1, 2, 0], [7, 3, 0]), ([1, 2, 0], [7, 3, 0])) == 1


def test_a_new_name_in_the_middle_costs_the_shorter_half():
    # Four sightings of one object: three under 5, one under 6; right 3 of 4 on either side.
    assert scored(*[([1], [5])] * 3, ([1], [6])) == pytest.approx(2 * 3 / 8)


def test_two_objects_that_swap_names():
    assert scored(([1, 2], [1, 2]), ([1, 2], [2, 1])) == pytest.approx(0.5)


def test_missed_and_invented_objects_count():
    assert scored(([1, 2], [1, 0])) == pytest.approx(2 * 1 / 3)
    assert scored(([1, 0], [1, 2])) == pytest.approx(2 * 1 / 3)
    assert np.isnan(scored(([0], [0])))


def test_what_the_truth_does_not_know_is_no_mistake():
    assert np.isnan(scored(([0], [4]), known=False))
