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
    truth, semantic = np.repeat([1, 2], 10), np.repeat([0, 1], 10)

    def ap50(*scores):
        result = InstanceScore([0, 1], min_region=2)
        result.add(semantic, truth, PredictedObjects(truth, np.array([0, 0]), np.array(scores)))
        return result.average_precision(0, 0.5)

    # Thresholds 0.5 (precision 1/2, recall 1) and 0.9 (precision 0, recall 0).
    assert ap50(0.5, 0.9) == pytest.approx(0.25)
    # Thresholds 0.5 (precision 1/2, recall 1) and 0.9 (precision 1, recall 1).
    assert ap50(0.9, 0.5) == pytest.approx(1 / 2 * 0 + 1 * 1 / 2 + 1 * 1 / 2)


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
    assert scored(truth, on_void, [0, 0], [0.5, 0.9], semantic).summary()["ap50"] == 1
    # Stuff is void to ScanNet's script, too: its 18 classes lack wall and floor.
    on_stuff = np.repeat([1, 0, 2], 10)
    assert scored(truth, on_stuff, [0, 0], [0.5, 0.9], semantic).summary()["ap50"] == 1
    half_on_thing = np.where(np.arange(30) < 6, 1, np.where(np.arange(30) < 16, 2, 0))
    assert scored(truth, half_on_thing, [0, 0], [0.5, 0.9], semantic).summary()["ap50"] == 1


def test_a_prediction_over_two_objects_matches_only_the_first():
    truth = np.repeat([1, 2, 0], 20)
    both = np.repeat([1, 0], [40, 20])  # IoU 0.5 with either
    assert scored(truth, both, [0], [0.9]).average_precision(0, 0.25) == pytest.approx(0.5)


def ap_as_scannets_script_loops(scenes, class_id, things, min_region, overlap):
    """ScanNet's evaluate_semantic_instance.py, written out loop by loop: the peer of our arrays."""
    y_true, y_score, missed, any_truth = [], [], 0, False
    for semantic, instance, found in scenes:
        sizes = {k: int(((semantic == class_id) & (instance == k)).sum()) for k in set(instance)}
        truths = [k for k in sorted(sizes) if k > 0 and sizes[k] > 0]
        void = ~np.isin(semantic, things) | (instance <= 0)
        guesses = []
        for row, name in enumerate(found.class_id):
            mask = found.instance == row + 1
            if name == class_id and mask.sum() >= min_region:
                guesses.append((mask, float(found.score[row])))
        common = {
            (g, k): int((mask & (semantic == class_id) & (instance == k)).sum())
            for g, (mask, _) in enumerate(guesses)
            for k in truths
        }

        def iou(g, k, guesses=guesses, common=common, sizes=sizes):
            return common[g, k] / (guesses[g][0].sum() + sizes[k] - common[g, k])

        visited = set()
        for k in (k for k in truths if sizes[k] >= min_region):
            any_truth, best = True, None
            for g, (_, score) in enumerate(guesses):
                if g in visited or iou(g, k) <= overlap:
                    continue
                if best is None:
                    best = score
                    visited.add(g)
                else:
                    y_true.append(0)
                    y_score.append(min(best, score))
                    best = max(best, score)
            if best is None:
                missed += 1
            else:
                y_true.append(1)
                y_score.append(best)
        for g, (mask, score) in enumerate(guesses):
            if any(iou(g, k) > overlap for k in truths):
                continue
            ignored = (mask & void).sum() + sum(
                common[g, k] for k in truths if sizes[k] < min_region
            )
            if ignored / mask.sum() <= overlap:
                y_true.append(0)
                y_score.append(score)
    if not any_truth:
        return float("nan")
    if not y_score:
        return 0.0
    order = np.argsort(y_score, kind="stable")
    true, score = np.array(y_true)[order], np.array(y_score)[order]
    cumulated = np.append(np.cumsum(true), 0)
    _, starts = np.unique(score, return_index=True)
    precision, recall = [], []
    for start in starts:
        tp = true.sum() - cumulated[start - 1]
        fp = len(score) - start - tp
        precision.append(tp / (tp + fp))
        recall.append(tp / (tp + cumulated[start - 1] + missed))
    recall = [*recall, 0.0]
    steps = np.convolve([recall[0], *recall, 0.0], [-0.5, 0, 0.5], "valid")
    return float(np.dot([*precision, 1.0], steps))


@pytest.mark.parametrize("seed", range(20))
def test_any_scenes_score_as_by_scannets_script(seed):
    rng = np.random.default_rng(seed)
    scenes, result = [], InstanceScore([0, 1], min_region=5)
    for _ in range(3):
        instance = np.repeat(rng.integers(0, 9, 30), rng.integers(1, 15, 30)).astype(np.int32)
        semantic = np.array([-1, 0, 0, 1, 0, 1, 0, 2, 0], np.int32)[instance]
        moved = np.where(rng.random(len(instance)) < 0.25, rng.integers(0, 9), instance)
        objects = PredictedObjects(
            np.roll(moved, rng.integers(4)).astype(np.int32),
            rng.choice([0, 0, 1], 8).astype(np.int32),
            rng.choice([0.2, 0.4, 0.4, 0.6, 0.8], 8),
        )
        scenes.append((semantic, instance, objects))
        result.add(semantic, instance, objects)
    for class_id in (0, 1):
        for overlap in (0.25, 0.5, 0.75):
            expected = ap_as_scannets_script_loops(scenes, class_id, [0, 1], 5, overlap)
            found = result.average_precision(class_id, overlap)
            assert found == pytest.approx(expected, nan_ok=True)
