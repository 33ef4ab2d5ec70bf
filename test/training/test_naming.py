import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.progress import Progress
from small_site import make_small_site

from offline_training.calibration import held_out_marks
from offline_training.labels import clicked_labels, object_paths
from offline_training.reach import Doubt, ReachModel, every_scene, reach_every_scene
from offline_training.reach.naming import believed_names, doubts, renamed
from offline_training.rounds import doubts_path, save_doubts
from offline_training.scene_store import SceneStore
from offline_training.scenes import DOUBTED, Mark, load_scene
from offline_training.self_training import preprocessing, train_site
from offline_training.settings import preset
from otoc_ros.cli.train import _show_doubts

FLOOR, BOX, BALL = range(3)
THING = np.array([False, True, True])


def looks(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Objects of four classes, of which two look alike, beside features that tell nothing."""
    rng = np.random.default_rng(0)
    name = np.arange(count) % 4
    middle = np.array([[0, 0], [8, 0], [0, 8], [0, 9]])[name]
    features = np.concatenate(
        [middle + rng.normal(size=(count, 2)), rng.normal(size=(count, 3))], 1
    )
    return features.astype(np.float32), name


def test_right_clicks_are_believed():
    features, name = looks(200)
    named = believed_names(features, name, 5)
    np.testing.assert_allclose(named.sum(axis=1), 1)
    assert (named.argmax(axis=1) == name).all()
    assert named[np.arange(200), name].mean() > 0.97


def test_what_looks_unlike_its_name_is_found_by_all_the_others():
    features, name = looks(200)
    rng = np.random.default_rng(1)
    said, wrong = name.copy(), rng.choice(200, 20, replace=False)
    said[wrong] = (said[wrong] + rng.integers(1, 4, 20)) % 4
    named = believed_names(features, said, 5)
    alike = np.isin(name, (2, 3)) & np.isin(said, (2, 3))  # a slip that nobody could see
    sure = wrong[~alike[wrong]]
    assert (named[sure].argmax(axis=1) == name[sure]).mean() > 0.7
    right = np.setdiff1d(np.arange(200), wrong)
    assert (named[right].argmax(axis=1) == name[right]).mean() > 0.97
    # A class that nobody named is not what anything looks like.
    assert (named[:, 4] < 0.01).all()


def test_a_doubted_click_names_what_its_object_looks_like_and_labels_nothing():
    marks = (
        Mark("click", FLOOR, 0, 3),
        Mark("exclude", BALL, 0, 1),
        Mark("click", BOX, 2, 5),
    )
    named = np.array([[0.9, 0.1, 0], [0.1, 0.3, 0.6]])
    found = doubts(7, marks, named)
    assert found == [Doubt(7, 2, BOX, BALL, 0.6)]
    after = renamed(marks, found)
    assert after[:2] == marks[:2]
    assert (after[2].kind, after[2].class_id, after[2].object) == (DOUBTED, BALL, 2)
    assert clicked_labels(after, 6).label.tolist() == [-1, -1, -1, FLOOR, -1, -1]
    assert not any(held_out_marks([after[2:]] * 30))


@pytest.fixture(scope="module")
def clicked_site(tmp_path_factory):
    return make_small_site(tmp_path_factory.mktemp("naming") / "site", train=12, val=0)


@pytest.fixture
def reached(clicked_site, tmp_path, monkeypatch):
    """Reaches all scenes, with one floor called a ball by a mark of a kind; what is doubted, the
    floor's reach of that scene, and its mark."""
    monkeypatch.setattr(every_scene, "FEWEST_CLICKS", 1)

    def reach(kind: str):
        store = SceneStore(
            tmp_path, [scene.name for scene in clicked_site.scenes()], preprocessing(clicked_site)
        )
        for row, scene in enumerate(clicked_site.scenes()):
            loaded = load_scene(scene, preprocessing(clicked_site))
            if row == 4:
                (place,) = [k for k, mark in enumerate(loaded.marks) if mark.class_id == FLOOR]
                marks = list(loaded.marks)
                marks[place] = replace(marks[place], kind=kind, class_id=BALL)
                loaded = replace(loaded, marks=tuple(marks))
            store.write_scene(row, loaded, object_paths(loaded))
        found = reach_every_scene(store, range(12), THING, ReachModel.shipped(), lambda: None)
        mark = store.scene(4).marks[place]
        return found, store.read(4, "reach")["reach"][mark.supervoxel], mark, place

    return reach


def test_a_floor_that_is_called_a_ball_is_doubted_and_reaches_as_a_floor(reached):
    found, of_floor, mark, place = reached("click")
    assert [(doubt.scene, doubt.mark, doubt.said) for doubt in found] == [(4, place, BALL)]
    assert found[0].looks_like == FLOOR and found[0].probability > 0.5
    assert (mark.kind, mark.class_id) == (DOUBTED, FLOOR)
    assert of_floor.argmax() == FLOOR


def test_what_a_person_accepted_is_beyond_doubt(reached):
    found, of_floor, mark, _ = reached("accept")
    assert found == []
    assert (mark.kind, mark.class_id) == ("accept", BALL)
    assert of_floor.argmax() == BALL


def test_few_clicks_are_beyond_doubt(reached, monkeypatch):
    monkeypatch.setattr(every_scene, "CLICKS_A_CLASS", 25)  # 72 clicks, 3 classes
    found, *_ = reached("click")
    assert found == []


def test_a_person_is_told_which_clicks_look_wrong(clicked_site, capsys):
    (clicked_site.path / "rounds").mkdir(exist_ok=True)
    scene = clicked_site.scenes()[4]
    click = scene.clicks()[1]
    said = [known.name for known in clicked_site.config.classes].index(click.class_name)
    # Of the second one nobody knows any more: a person took the click back.
    found = [Doubt(4, 1, said, BALL, 0.9), Doubt(4, 99, FLOOR, BALL, 0.9)]
    save_doubts(clicked_site, clicked_site.scenes(), found)
    (row,) = json.loads(doubts_path(clicked_site).read_bytes())
    assert (row["scene"], row["click"]) == (scene.name, click.id)
    assert tuple(row["position"]) == click.position
    _show_doubts(clicked_site.path)
    shown = capsys.readouterr().out
    for word in (scene.name, click.class_name, "ball", "0.90", "withdraw"):
        assert word in shown
    save_doubts(clicked_site, clicked_site.scenes(), [])
    _show_doubts(clicked_site.path)
    assert capsys.readouterr().out == ""


def test_the_only_clicks_of_a_class_are_believed():
    features, name = looks(200)
    rng = np.random.default_rng(1)
    said, wrong = name.copy(), rng.choice(200, 20, replace=False)
    said[wrong] = (said[wrong] + rng.integers(1, 4, 20)) % 4
    said[:2] = 4
    assert (believed_names(features, said, 5)[:2].argmax(axis=1) == 4).all()


def test_training_doubts_a_wrong_click_and_takes_objects_from_shares(tmp_path, monkeypatch):
    monkeypatch.setattr(every_scene, "FEWEST_CLICKS", 1)
    site = make_small_site(tmp_path / "site", train=12, val=0)
    scene = site.scenes()[4]
    (floor,) = (click for click in scene.clicks() if click.class_name == "floor")
    scene.withdraw(floor.id, "simulated")
    scene.append_click(floor.model_copy(update={"id": "slip", "class_name": "ball"}))
    settings = preset("tiny").model_copy(
        update={"width": 8, "levels": 2, "rounds": 1, "steps": 2, "max_voxels": 3000}
    )
    with Progress(disable=True) as progress:
        train_site(site, settings, torch.device("cpu"), progress)
    (doubt,) = json.loads(doubts_path(site).read_bytes())
    assert (doubt["scene"], doubt["click"], doubt["looks_like"]) == (scene.name, "slip", "floor")
    with np.load(site.path / "rounds" / "00" / "labels.npz") as left:
        for each in site.scenes():
            numbers = np.unique(left[f"{each.name}/object"])
            assert {*numbers.tolist()} == {0, 1, 2, 3, 4, 5}  # the floor is no object
