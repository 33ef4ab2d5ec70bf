import json
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from rich.progress import Progress
from small_site import make_small_site, small_scene
from stop_at import StopAt

from offline_training import optimise as optimise_module
from offline_training import self_training
from offline_training.beliefs import believe, network_scores
from offline_training.bundle import export_bundle
from offline_training.labels import PERSON, PSEUDO, clicked_labels
from offline_training.optimise import optimise
from offline_training.reach import every_scene
from offline_training.scenes import load_scene, voxel_truth
from offline_training.self_training import (
    Interrupted,
    Networks,
    finished_rounds,
    preprocessing,
    round_folder,
    round_metrics,
    train_site,
    training_settings,
)
from offline_training.settings import preset
from offline_training.site_evaluation import evaluate_bundle
from otoc_ros.core.errors import InputError
from otoc_ros.core.propagation import fuse

CPU = torch.device("cpu")
QUICK = preset("tiny").model_copy(
    update={"width": 8, "levels": 2, "rounds": 2, "steps": 6, "max_voxels": 3000}
)


def quiet():
    return Progress(disable=True)


def weights(site, number):
    return (round_folder(site, number) / "networks.safetensors").read_bytes()


def test_one_click_per_object_teaches_far_more_than_chance(trained_site, tiny_bundle):
    scenes = trained_site.scenes(split="val")
    scores = evaluate_bundle(tiny_bundle, trained_site, scenes, quiet())
    assert scores["miou"] > 0.8  # always saying floor scores 0.16
    assert scores["ap50"] > 0.5
    assert np.isfinite(scores["ap"])


def test_without_reach_and_pseudo_labels_the_clicks_alone_teach(tmp_path, monkeypatch):
    site = make_small_site(tmp_path / "site", train=2, val=0)
    taught = []

    def watched(number, settings, networks, scenes, targets, *rest):
        taught.append(np.mean(np.concatenate([each.label for each in targets]) >= 0))
        return optimise(number, settings, networks, scenes, targets, *rest)

    monkeypatch.setattr(self_training, "optimise", watched)
    train_site(site, QUICK.model_copy(update={"rounds": 1, "steps": 1}), CPU, quiet())
    never = QUICK.model_copy(update={"reach": False, "accept": 1.01, "floor": 1.01, "steps": 2})
    train_site(site, never, CPU, quiet())
    for number in range(never.rounds):
        metrics = json.loads((round_folder(site, number) / "metrics.json").read_text())
        assert metrics["pseudo_labels"] == 0
        assert metrics["clicked_supervoxels"] > 0
    reached, *clicked = taught
    assert reached > 0.8 and max(clicked) < 0.3


def mean_recall(truth, found):
    return np.mean([(found == name)[truth == name].mean() for name in range(3)])


def test_propagation_carries_clicks_to_where_the_networks_are_blind(tmp_path):
    site = make_small_site(tmp_path / "site", train=3, val=0)
    networks = Networks.fresh(site, QUICK, CPU)  # untrained: they know nothing
    torch.nn.init.zeros_(networks.theta.classifier.weight)  # and do not claim to
    torch.nn.init.zeros_(networks.theta.classifier.bias)
    before, clicked_only, after = [], [], []
    for scene in site.scenes():
        loaded = load_scene(scene, preprocessing(site))
        scores = network_scores(networks.theta, networks.relation, loaded.prepared, CPU)
        clicked = clicked_labels(loaded.marks, loaded.prepared.n_supervoxels)
        settings = QUICK.propagation.model_copy(update={"steps": 30, "weight": 3.0})
        truth = voxel_truth(scene, loaded.prepared).semantic
        blind = fuse(scores.log_theta, scores.similarity, settings)
        alone = settings.model_copy(update={"steps": 0})
        still = believe(loaded, scores, clicked, None, alone)
        belief = believe(loaded, scores, clicked, None, settings)
        groups = loaded.prepared.supervoxel
        before.append(mean_recall(truth, blind.argmax(axis=1)[groups]))
        clicked_only.append(mean_recall(truth, still.argmax(axis=1)[groups]))
        after.append(mean_recall(truth, belief.argmax(axis=1)[groups]))
    assert np.mean(after) > np.mean(before) + 0.2
    assert np.mean(after) > np.mean(clicked_only) + 0.1


def test_clicks_keep_their_label_and_pseudo_labels_are_told_apart(trained_site):
    with np.load(round_folder(trained_site, 1) / "labels.npz") as arrays:
        for scene in trained_site.scenes(split="train"):
            label, provenance, confidence = (
                arrays[f"{scene.name}/{part}"] for part in ("label", "provenance", "confidence")
            )
            loaded = load_scene(scene, preprocessing(trained_site))
            marked = {mark.supervoxel for mark in loaded.marks}
            assert set(np.flatnonzero(provenance == PERSON)) == marked
            for mark in loaded.marks:
                assert label[mark.supervoxel] in {
                    m.class_id for m in loaded.marks if m.supervoxel == mark.supervoxel
                }
            assert (provenance == PSEUDO).mean() > 0.8
            assert (confidence[provenance == PSEUDO] > 1 / len(trained_site.config.classes)).all()
            truth = voxel_truth(scene, loaded.prepared).semantic
            pseudo = (provenance == PSEUDO)[loaded.prepared.supervoxel]
            right = label[loaded.prepared.supervoxel] == truth
            assert right[pseudo].mean() > 0.9


@pytest.mark.parametrize(
    ("steps", "kind", "mixed"),
    [
        (2, "graph", False),
        (6, "graph", False),
        (9, "graph", False),
        (9, "transformer", False),
        (3, "graph", True),
    ],
)
def test_interrupted_and_resumed_training_ends_in_the_same_bits(tmp_path, steps, kind, mixed):
    spread = QUICK.propagation.model_copy(update={"kind": kind})
    settings = QUICK.model_copy(update={"propagation": spread, "mixed": mixed})
    whole = make_small_site(tmp_path / "whole", train=2, val=0)
    train_site(whole, settings, CPU, quiet())
    parts = make_small_site(tmp_path / "parts", train=2, val=0)
    with pytest.raises(Interrupted, match="--resume"):
        train_site(parts, settings, CPU, StopAt(steps))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    train_site(parts, settings, CPU, quiet(), resume=True)
    for number in range(QUICK.rounds):
        assert weights(parts, number) == weights(whole, number)
        noted = [round_metrics(site, number) for site in (parts, whole)]
        assert noted[0] | {"seconds": 0} == noted[1] | {"seconds": 0}
        assert len(noted[0]["curve"]["total"]) == QUICK.steps


class Crash(Exception):
    pass


@pytest.mark.parametrize("place", ["advance", "believe", "draw_curves"])
def test_killed_and_resumed_training_ends_in_the_same_bits(tmp_path, monkeypatch, place):
    """Killed between two saves of a round, in propagation, or before a round is complete."""
    whole = make_small_site(tmp_path / "whole", train=2, val=0)
    train_site(whole, QUICK, CPU, quiet())
    parts = make_small_site(tmp_path / "parts", train=2, val=0)

    def crash(*_):
        raise Crash

    class CrashAt(StopAt):
        def advance(self, task_id, advance=1):
            self.left -= "train" in self.tasks[task_id].description
            if self.left == 0:
                raise Crash

    monkeypatch.setattr(optimise_module, "SAVE_EVERY", 2)
    with pytest.raises(Crash), monkeypatch.context() as patch:
        if place != "advance":
            patch.setattr(self_training, place, crash)
        train_site(parts, QUICK, CPU, CrashAt(4 if place == "advance" else 1000))
    left = round_folder(parts, 0) / "progress.safetensors"
    assert left.exists() and finished_rounds(parts) == 0
    train_site(parts, QUICK, CPU, quiet(), resume=True)
    for number in range(QUICK.rounds):
        assert weights(parts, number) == weights(whole, number)


def test_training_ends_after_labels_have_settled_and_resumes_to_the_same_end(tmp_path):
    settings = QUICK.model_copy(update={"rounds": 5, "steps": 3, "settled": 1.0})
    site = make_small_site(tmp_path / "site", train=2, val=0)
    rates = []

    def watched(rate, *rest):
        rates.append(rate)
        return warm_cosine(rate, *rest)

    warm_cosine = optimise_module._warm_cosine
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimise_module, "_warm_cosine", watched)
        train_site(site, settings, CPU, quiet())
    noted = [round_metrics(site, number) for number in range(finished_rounds(site))]
    assert len(noted) == 2 and noted[0]["changed"] < 1
    # The last round learns from every click, and the learning rate falls to its end in it.
    assert noted[0]["held_out_clicks"] > 0 and noted[1]["held_out_clicks"] == 0
    assert rates == pytest.approx([0, 1 / 15, 2 / 15, 3 / 15, 7 / 15, 11 / 15])
    ended = weights(site, 1)
    train_site(site, settings, CPU, quiet(), resume=True)
    assert finished_rounds(site) == 2 and weights(site, 1) == ended
    parts = make_small_site(tmp_path / "parts", train=2, val=0)
    with pytest.raises(Interrupted):
        train_site(parts, settings, CPU, StopAt(5))
    train_site(parts, settings, CPU, quiet(), resume=True)
    assert weights(parts, 1) == ended


def test_every_round_leaves_a_picture_of_its_curves(trained_site):
    for number in range(2):
        with Image.open(round_folder(trained_site, number) / "curves.png") as picture:
            assert picture.format == "PNG"
            ink = np.asarray(picture.convert("L")) < 200
        assert 0.01 < ink.mean() < 0.5


@pytest.mark.parametrize("fewest", [1, 100])  # learnt reach, doubts and shares; or grown by hand
def test_training_and_export_on_clicks_never_look_at_the_truth(tmp_path, monkeypatch, fewest):
    monkeypatch.setattr(every_scene, "FEWEST_CLICKS", fewest)
    seeing = make_small_site(tmp_path / "seeing", train=10, val=0)
    blind = make_small_site(tmp_path / "blind", train=10, val=0)
    for scene in blind.scenes():
        (scene.path / "truth.npz").unlink()
    bundles = []
    for site in (seeing, blind):
        train_site(site, QUICK.model_copy(update={"steps": 2}), CPU, quiet())
        path = export_bundle(site, site.path / "bundle").path
        bundles.append({file.name: file.read_bytes() for file in path.iterdir()})
    assert weights(seeing, 1) == weights(blind, 1)
    assert bundles[0] == bundles[1]
    later = blind.add_scene("later", small_scene(99)[0], split="train", up=(0, 0, 1))
    (click, *_) = seeing.scenes()[0].clicks()
    later.append_click(click)  # waits for the next training
    path = export_bundle(blind, blind.path / "bundle").path
    assert {file.name: file.read_bytes() for file in path.iterdir()} == bundles[0]
    full = QUICK.model_copy(update={"labels": "full"})
    with pytest.raises(InputError, match=r"truth\.npz"):
        train_site(blind, full, CPU, quiet())


def test_what_cannot_be_trained_or_resumed_says_so(tmp_path):
    site = make_small_site(tmp_path / "site", train=1, val=0)
    with pytest.raises(InputError, match="otoc train"):
        train_site(site, QUICK, CPU, quiet(), resume=True)
    train_site(site, QUICK.model_copy(update={"rounds": 1, "steps": 1}), CPU, quiet())
    other = QUICK.model_copy(update={"width": 4, "steps": 1})
    with pytest.raises(InputError, match="width"):
        train_site(site, other, CPU, quiet(), resume=True)
    train_site(site, QUICK.model_copy(update={"rounds": 2, "steps": 1}), CPU, quiet(), resume=True)
    assert training_settings(site).rounds == 2
    aside = site.path / "rounds" / "set-aside-20260101-000000"
    round_folder(site, 1).rename(aside)
    (site.scenes()[0].path / "clicks.jsonl").unlink()
    with pytest.raises(InputError, match="no clicks"):
        train_site(site, QUICK, CPU, quiet())
    # What cannot be trained costs no training that was.
    assert finished_rounds(site) == 1 and training_settings(site).steps == 1
    full = QUICK.model_copy(update={"labels": "full", "rounds": 1, "steps": 1})
    train_site(site, full, CPU, quiet())
    assert training_settings(site).labels == "full" and aside.is_dir()
