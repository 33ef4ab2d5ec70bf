"""Scenes stream from disk: what was written comes back, and memory holds few at a time."""

import weakref
from dataclasses import fields

import numpy as np
import pytest
import torch
from rich.progress import Progress
from small_site import make_small_site, small_scene

from offline_training.labels import object_paths
from offline_training.mapped import map_arrays, write_arrays
from offline_training.one_by_one import OneByOne
from offline_training.scene_store import SceneStore
from offline_training.scenes import TrainingCloud, TrainingScene, load_scene
from offline_training.self_training import preprocessing, train_site
from offline_training.settings import preset
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError

QUICK = preset("tiny").model_copy(
    update={"width": 8, "levels": 2, "rounds": 2, "steps": 4, "max_voxels": 3000}
)


def test_arrays_come_back_and_changes_stay_in_memory(tmp_path):
    path = tmp_path / "arrays"
    arrays = {
        "a": np.arange(7, dtype=np.int32),
        "empty": np.empty((0, 3), np.float32),
        "flags": np.array([[True], [False]]),
        "number": np.array(5),
        "turned": np.arange(6.0).reshape(2, 3).T,
    }
    write_arrays(path, arrays)
    found = map_arrays(path)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    found["a"][0] = 9
    assert map_arrays(path)["a"][0] == 0
    write_arrays(path, {"a": np.zeros(2)})  # who has mapped the old file keeps it
    assert found["a"].tolist() == [9, 1, 2, 3, 4, 5, 6]
    with pytest.raises(InputError, match="cannot write"):
        write_arrays(tmp_path / "missing" / "arrays", arrays)


@pytest.mark.parametrize("colour", [True, False])
def test_a_scene_comes_back_as_it_was(tmp_path, colour):
    site = make_small_site(tmp_path / "site", train=1, val=0)
    cloud = small_scene(3)[0]
    view = (Cloud(cloud.xyz[:4000], cloud.rgb[:4000] if colour else None), np.eye(4))
    if not colour:
        cloud = Cloud(cloud.xyz)
    other = site.add_scene("other", cloud, up=(0, 0, 1), views=[view])
    for name, scene in (("first", site.scenes()[0]), ("other", other)):
        store = SceneStore(tmp_path, [name], preprocessing(site))
        loaded = load_scene(scene, preprocessing(site))
        paths = object_paths(loaded)
        store.write_scene(0, loaded, paths)
        found = store.scene(0)
        assert (found.name, found.marks) == (name, loaded.marks)
        np.testing.assert_array_equal(found.sensors, loaded.sensors)
        assert (store.paths(0) != paths).nnz == 0
        assert len(found.views) == len(loaded.views)
        clouds = [(*each.parts, *each.views) for each in (found, loaded)]
        for one, two in zip(*clouds, strict=True):
            for field in fields(TrainingCloud):
                np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))
        for field in fields(loaded.prepared):
            one, two = (getattr(each.prepared, field.name) for each in (found, loaded))
            if field.name == "grid":
                np.testing.assert_array_equal(one.coords, two.coords)
                np.testing.assert_array_equal(one.origin, two.origin)
            else:
                np.testing.assert_array_equal(one, two)


def test_a_sequence_of_things_made_one_by_one():
    made = []
    squares = OneByOne(4, lambda row: made.append(row) or row**2)
    assert list(squares) == [0, 1, 4, 9]
    assert squares[1:3] == [1, 4]
    assert made == [0, 1, 2, 3, 1, 2]
    with pytest.raises(IndexError):
        squares[4]


@pytest.mark.parametrize("labels", ["clicks", "full"])
def test_a_training_holds_few_scenes_at_a_time_however_many_there_are(
    tmp_path, monkeypatch, labels
):
    site = make_small_site(tmp_path / "site", train=7, val=0)
    alive, most = weakref.WeakSet(), [0]
    plain = TrainingScene.__init__

    def counted(scene, *args, **kwargs):
        plain(scene, *args, **kwargs)
        alive.add(scene)
        most[0] = max(most[0], len(alive))

    monkeypatch.setattr(TrainingScene, "__init__", counted)
    settings = QUICK.model_copy(update={"labels": labels})
    train_site(site, settings, torch.device("cpu"), Progress(disable=True))
    assert 1 <= most[0] <= 3
    assert not (site.path / "rounds" / "scratch").exists()
