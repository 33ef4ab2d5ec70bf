"""Clicks on live clouds: which cloud, which point, and the three places where they count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_site import small_scene

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.perception import Corrections, Perception, Shown, ShownClouds
from otoc_ros.perception.shown import KEPT, snap
from otoc_ros.site.site import Site

UP = np.array([0.0, 0.0, 1.0])
SHIPPED = Path(__file__).parents[2] / "bundle"
SECOND = 10**9


@pytest.fixture(scope="module")
def perception() -> Perception:
    return Perception(SHIPPED)


def view(perception: Perception, seed: int, stamp: int = SECOND, holes: float = 0.1) -> Shown:
    cloud, _ = small_scene(seed)
    xyz = cloud.xyz.copy()
    xyz[np.random.default_rng(seed).random(len(xyz)) < holes] = np.nan
    cloud = Cloud(xyz, cloud.rgb)
    seen = perception.see(cloud, UP)
    labelled = perception.label(seen, perception.untaught)
    return Shown(stamp, "camera", stamp, cloud, seen, labelled)


@pytest.fixture(scope="module")
def shown(perception: Perception) -> Shown:
    return view(perception, 3)


@pytest.fixture
def corrections(perception: Perception, tmp_path: Path) -> Corrections:
    return reopened(perception, tmp_path)


def reopened(perception: Perception, folder: Path) -> Corrections:
    return Corrections(perception.untaught, "hash", folder / "banks", folder / "site", 0.08)


def on_object(shown: Shown, seed: int = 3) -> tuple[int, np.ndarray]:
    """A point in the middle of the first box, and the rows of all of its points."""
    mine = np.flatnonzero(small_scene(seed)[1].instance == 1)
    finite = mine[np.isfinite(shown.cloud.xyz[mine]).all(axis=1)]
    return int(finite[len(finite) // 2]), finite


def correct(corrections: Corrections, shown: Shown, row: int, text: str) -> str:
    correction = corrections.understand(shown, shown.cloud.xyz[row], text)
    corrections.teach(correction)
    corrections.keep(correction, shown)
    return correction.click.id


def test_a_new_class_counts_at_once_and_in_the_same_view_again(
    perception: Perception, shown: Shown, corrections: Corrections
) -> None:
    row, mine = on_object(shown)
    correct(corrections, shown, row, "crate")
    bank = corrections.bank
    crate = len(perception.info.classes)
    assert bank.classes[crate].name == "crate" and bank.classes[crate].kind == "thing"
    again = perception.label(shown.seen, bank)
    assert again.class_id[row] == crate
    clicked = shown.labelled.supervoxel == shown.labelled.supervoxel[row]
    assert (again.class_id[clicked] == crate).all()
    assert (again.confidence[clicked] > 0.99).all()
    assert np.isin(mine, np.flatnonzero(again.class_id == crate)).mean() > 0.3
    following = perception.label(view(perception, 3, holes=0.2).seen, bank)
    assert (following.class_id[mine] == crate).mean() > 0.3
    assert (shown.labelled.class_id < crate).all()  # what was shown before stays what it was


def test_a_click_is_kept_for_training_and_after_a_restart(
    perception: Perception, shown: Shown, corrections: Corrections, tmp_path: Path
) -> None:
    row, mine = on_object(shown)
    click = correct(corrections, shown, row, "crate")
    correct(corrections, shown, int(mine[0]), "box")
    correct(corrections, shown, row, "puddle:stuff")
    site = Site.open(tmp_path / "site")
    assert [known.name for known in site.config.classes[-2:]] == ["crate", "puddle"]
    assert site.config.classes[: len(perception.info.classes)] == perception.info.classes
    (scene,) = site.scenes()
    first, second, third = scene.clicks()
    assert (first.id, first.class_name, first.object, first.source) == (click, "crate", 1, "rviz")
    assert (second.class_name, second.object) == ("box", 2)
    assert (third.class_name, third.object) == ("puddle", 0)
    np.testing.assert_allclose(first.position, shown.cloud.xyz[row])
    kept = scene.cloud()
    finite = np.isfinite(shown.cloud.xyz).all(axis=1)
    np.testing.assert_array_equal(kept.xyz, shown.cloud.xyz[finite])
    np.testing.assert_allclose(scene.meta.up, UP, atol=1e-9)

    again = reopened(perception, tmp_path)
    assert again.bank.classes == corrections.bank.classes
    before = perception.label(shown.seen, corrections.bank)
    after = perception.label(shown.seen, again.bank)
    np.testing.assert_array_equal(before.class_id, after.class_id)


def test_undo_takes_the_last_click_back_everywhere(
    perception: Perception, shown: Shown, corrections: Corrections, tmp_path: Path
) -> None:
    row, mine = on_object(shown)
    first = correct(corrections, shown, row, "crate")
    correct(corrections, shown, int(mine[0]), "jar")
    again = reopened(perception, tmp_path)  # a restart does not forget what can be undone
    for left in ([first], []):
        again.withdraw(again.forget())
        (scene,) = Site.open(tmp_path / "site").scenes()
        assert [click.id for click in scene.clicks()] == left
    assert again.bank.classes == perception.info.classes
    labelled = perception.label(shown.seen, again.bank)
    np.testing.assert_array_equal(labelled.class_id, shown.labelled.class_id)
    assert reopened(perception, tmp_path).bank.lessons == ()
    with pytest.raises(InputError, match="no click to undo"):
        again.forget()


def test_what_cannot_be_saved_still_holds(
    perception: Perception, shown: Shown, corrections: Corrections, tmp_path: Path
) -> None:
    (tmp_path / "site").write_text("a file where the site should be")
    row, _ = on_object(shown)
    correction = corrections.understand(shown, shown.cloud.xyz[row], "crate")
    corrections.teach(correction)
    with pytest.raises(InputError, match="site"):
        corrections.keep(correction, shown)
    assert perception.label(shown.seen, corrections.bank).class_id[row] == len(
        perception.info.classes
    )


def test_a_damaged_bank_is_kept_aside_and_the_robot_starts(
    perception: Perception, shown: Shown, corrections: Corrections, tmp_path: Path
) -> None:
    correct(corrections, shown, on_object(shown)[0], "crate")
    file = tmp_path / "banks" / "hash.jsonl"
    file.write_text("{\n")
    again = reopened(perception, tmp_path)
    assert "hash.jsonl" in again.problem and again.bank.lessons == ()
    assert (tmp_path / "banks" / "hash.damaged").read_text() == "{\n"


def test_a_site_cut_short_in_the_making_is_made_again(
    shown: Shown, corrections: Corrections, tmp_path: Path
) -> None:
    (tmp_path / "site" / "scenes").mkdir(parents=True)
    (tmp_path / "site" / ".site.yaml.0.tmp").write_text("name: si")
    assert corrections.save_scene(shown).clicks() == []
    assert corrections.save_scene(shown).meta == Site.open(tmp_path / "site").scenes()[0].meta


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("", "click_class is empty"), ("a,b", "give one class"), ("a:b", "kind"), (",", "no classes")],
)
def test_a_class_that_cannot_be_is_refused(
    shown: Shown, corrections: Corrections, text: str, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        corrections.understand(shown, shown.cloud.xyz[on_object(shown)[0]], text)


def test_a_click_snaps_to_the_nearest_point_or_is_refused() -> None:
    cloud = Cloud(np.array([[np.nan] * 3, [0, 0, 1], [0, 0, 2]]))
    assert snap(cloud, (0, 0.04, 1)) == 1
    assert snap(cloud, (0, 0, 1.96)) == 2
    with pytest.raises(InputError, match=r"0\.06 m from the nearest point"):
        snap(cloud, (0, 0.06, 1))
    with pytest.raises(InputError, match="nearest point"):
        snap(cloud, (np.nan, 0, 1))


def test_a_click_means_the_cloud_that_was_on_the_screen(shown: Shown) -> None:
    clouds = ShownClouds()
    with pytest.raises(InputError, match="no cloud was labelled"):
        clouds.at(0, 0)
    for number in range(KEPT + 2):  # stamped when measured, shown 0.3 s later
        stamp = (100 + number) * SECOND
        clouds.add(Shown(stamp, "", stamp + 3 * SECOND // 10, *_made_of(shown)))
    delay = SECOND // 5

    def number_of(stamp: float) -> int:
        return clouds.at(round(stamp * SECOND), delay).stamp // SECOND - 100

    assert number_of(105.51) == 5  # now: the last one that had been on the screen for a while
    assert number_of(105.49) == 4
    assert number_of(105) == 5  # stamped as the cloud
    assert number_of(0) == KEPT + 1
    assert number_of(1e6) == KEPT + 1
    with pytest.raises(InputError, match="older than the oldest"):
        number_of(101)


def test_a_quick_click_on_the_only_cloud_means_that_cloud(shown: Shown) -> None:
    clouds = ShownClouds()
    clouds.add(Shown(100 * SECOND, "", 101 * SECOND, *_made_of(shown)))
    assert clouds.at(101 * SECOND + SECOND // 20, SECOND // 5).stamp == 100 * SECOND
    with pytest.raises(InputError, match=r"1\.00 s older than the oldest"):
        clouds.at(100 * SECOND - 1, 2 * SECOND)


def test_a_click_on_a_replayed_recording_is_matched_by_its_stamps(shown: Shown) -> None:
    clouds = ShownClouds()
    for number in range(3):
        clouds.add(Shown((5 + number) * SECOND, "", 10**18 + number, *_made_of(shown)))
    assert clouds.at(round(6.5 * SECOND), SECOND // 10).stamp == 6 * SECOND


def _made_of(shown: Shown) -> tuple[object, object, object]:
    return shown.cloud, shown.seen, shown.labelled
