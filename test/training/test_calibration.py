import json
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from rich.progress import Progress
from small_site import make_small_site

from offline_training.bundle import export_bundle
from offline_training.calibration import (
    HeldOut,
    fit_confidence,
    fit_temperature,
    held_out_marks,
    true_marks,
)
from offline_training.evaluation import CalibrationScore
from offline_training.rounds import fitted_confidence
from offline_training.samples import Targets
from offline_training.scenes import Mark, load_scene, voxel_truth
from offline_training.self_training import _Trainer, preprocessing, round_metrics, train_site
from offline_training.settings import preset
from offline_training.site_evaluation import evaluate_bundle
from otoc_ros.core.confidence import tempered
from otoc_ros.perception import Perception

CPU = torch.device("cpu")
QUICK = preset("tiny").model_copy(
    update={"width": 8, "levels": 2, "rounds": 3, "steps": 4, "max_voxels": 3000}
)


def sampled(true_temperature, count, seed=0):
    """Beliefs that are too sure by a known temperature, and what was really there."""
    rng = np.random.default_rng(seed)
    honest = rng.dirichlet(np.full(5, 0.7), count).astype(np.float32)
    label = np.array([rng.choice(5, p=row / row.sum()) for row in honest.astype(np.float64)])
    belief, label = tempered(honest, 1 / true_temperature), label.astype(np.int32)
    return HeldOut(belief, label, np.ones(count), np.linspace(0, 1, count, dtype=np.float32))


@pytest.mark.parametrize("truth", [0.6, 1.0, 2.5])
def test_the_temperature_that_was_put_in_is_found_and_makes_confidence_come_true(truth):
    held_out = sampled(truth, 4000)
    found = fit_temperature(held_out)
    assert found == pytest.approx(truth, rel=0.1)

    def error(belief):
        score = CalibrationScore()
        score.add(held_out.label, belief.argmax(axis=1).astype(np.int32), belief.max(axis=1))
        return score.ece()

    assert error(tempered(held_out.belief, found)) < 0.025
    if truth != 1:
        assert error(held_out.belief) > 0.08


def test_few_clicks_claim_no_extreme_and_none_claim_nothing():
    one = sampled(1, 1)
    right = replace(one, label=one.belief.argmax(axis=1).astype(np.int32))
    assert 0.4 < fit_temperature(right) < 1.05
    none = sampled(1, 0)
    assert fit_confidence(none).temperature == pytest.approx(1, abs=1e-3)
    assert fit_confidence(none).strange_above == 1


def test_few_clicks_exceed_the_strangeness_from_which_things_are_unknown():
    assert fit_confidence(sampled(1, 500)).strange_above == pytest.approx(0.95, abs=0.01)


def test_a_large_surface_counts_more_than_a_small_thing_and_as_one_click():
    sure, humble = sampled(4.0, 300), sampled(1.0, 300, seed=1)
    both = HeldOut(
        np.concatenate([sure.belief, humble.belief]),
        np.concatenate([sure.label, humble.label]),
        np.repeat([1.0, 100.0], 300),
        np.concatenate([sure.strangeness, humble.strangeness]),
    )
    assert fit_temperature(both) < 1.3
    assert fit_temperature(replace(both, weight=np.repeat([100.0, 1.0], 300))) > 2
    wrong = replace(sampled(4.0, 40), weight=np.r_[1e6, np.ones(39)])  # one click says it all …
    lone = HeldOut(*(getattr(wrong, f.name)[:1] for f in fields(HeldOut)))
    assert fit_temperature(wrong) == pytest.approx(fit_temperature(lone), rel=0.02)


def test_calibration_error_is_the_mean_gap_between_confidence_and_truth():
    score = CalibrationScore()
    right = np.array([1, 1, 0, 0], np.int32)
    score.add(np.ones(4, np.int32), right, np.full(4, 0.9, np.float32))  # 0.9 sure, half right
    score.add(np.array([0, -1], np.int32), np.array([-1, 0], np.int32), np.ones(2, np.float32))
    assert score.ece() == pytest.approx(0.4)
    score.add(np.ones(4, np.int32), np.ones(4, np.int32), np.ones(4, np.float32))
    assert score.ece() == pytest.approx(0.2)
    assert np.isnan(CalibrationScore().ece())


def test_one_click_in_ten_is_held_out_over_all_classes_but_never_the_only_one_of_a_class():
    scene = [Mark("click", row % 4, row, row) for row in range(20)]
    marks = [scene, [*scene, Mark("exclude", 0, 0, 1), Mark("click", 9, 1, 2)]]
    rows = held_out_marks(marks)
    names = [marks[s][row].class_id for s, own in enumerate(rows) for row in own]
    assert sorted(names) == [0, 1, 2, 3]
    alone = [[Mark("click", name, 1, name) for name in range(30)]]
    assert held_out_marks(alone) == [[]]


def test_nothing_of_a_held_out_object_is_taught_until_the_last_round(tmp_path):
    site = make_small_site(tmp_path / "site", train=4, val=0)
    (site.path / "rounds" / "scratch").mkdir(parents=True)
    trainer = _Trainer(site, QUICK, CPU, Progress(disable=True))
    held_out = trainer._held_out_in(0)
    assert sum(map(len, held_out)) == 2
    trainer._teach(trainer.labels_after(-1), held_out)
    for row, scene in enumerate(trainer.scenes):
        target = Targets(**trainer.store.read(row, "targets"))
        for mark in held_out[row]:
            mine = scene.prepared.supervoxel == scene.marks[mark].supervoxel
            assert (target.label[mine] == -1).all()
            assert np.isnan(target.center[mine]).all()
        assert (target.label >= 0).mean() > 0.2
    train_site(site, QUICK, CPU, Progress(disable=True))
    noted = [round_metrics(site, number) for number in range(3)]
    assert [each["held_out_clicks"] for each in noted] == [2, 2, 0]
    fitted = [fitted_confidence(site, number) for number in range(3)]
    assert fitted[1].temperature != 1
    assert 0 < fitted[1].strange_above < 1
    assert fitted[2] == fitted[1]


def test_full_labels_hold_out_objects_of_the_truth(tmp_path):
    site = make_small_site(tmp_path / "site", train=2, val=0)
    full = QUICK.model_copy(update={"labels": "full", "rounds": 2})
    scene = load_scene(site.scenes()[0], preprocessing(site))
    truth = voxel_truth(site.scenes()[0], scene.prepared)
    marks = true_marks(scene.prepared, truth)
    assert [(mark.class_id, mark.object) for mark in marks] == [
        (0, 0), (1, 1), (1, 2), (1, 3), (2, 4), (2, 5),
    ]  # fmt: skip
    for mark in marks:
        mine = truth.instance[scene.prepared.supervoxel == mark.supervoxel]
        assert (mine == mark.object).mean() > 0.5
    train_site(site, full, CPU, Progress(disable=True))
    assert round_metrics(site, 0)["held_out_clicks"] == 1


def test_a_bundle_carries_the_temperature_and_evaluation_says_what_it_changed(
    trained_site, tiny_bundle, tmp_path
):
    fitted = Perception(tiny_bundle).confidence
    assert fitted == fitted_confidence(trained_site, 1)
    assert fitted.temperature != 1
    path = trained_site.path / "rounds" / "01" / "metrics.json"
    before = path.read_bytes()
    try:
        hotter = {"confidence": {"temperature": 30.0}}
        path.write_text(json.dumps(json.loads(before) | hotter))
        hot = export_bundle(trained_site, tmp_path / "hot").path
    finally:
        path.write_bytes(before)
    perception = Perception(hot)
    scene = trained_site.scenes(split="val")[0]
    seen = perception.see(scene.cloud(), np.array([0.0, 0.0, 1.0]))
    cool = perception.uncalibrated().label(seen, perception.untaught)
    warm = perception.label(seen, perception.untaught)
    assert warm.confidence.mean() < cool.confidence.mean() - 0.05
    lone = (warm.instance == 0) & (cool.instance == 0)
    np.testing.assert_array_equal(warm.class_id[lone], cool.class_id[lone])
    scores = evaluate_bundle(hot, trained_site, [scene], Progress(disable=True))
    assert scores["temperature"] == 30
    assert 0 <= scores["ece_uncalibrated"] < scores["ece"] <= 1
