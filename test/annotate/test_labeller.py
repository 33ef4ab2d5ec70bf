"""Clicking, undoing and timing, without a browser."""

import threading

import pytest

from otoc_ros.annotate.labeller import Labeller
from otoc_ros.annotate.record import SiteRecord
from otoc_ros.annotate.stopwatch import PAUSE, Stopwatch
from otoc_ros.core.errors import InputError
from otoc_ros.site.classes import ClassInfo
from otoc_ros.site.clicks import Click
from otoc_ros.site.site import Site

HERE = (100.0, 50.0, 3.8)
THERE = (101.0, 50.0, 3.0)


@pytest.fixture
def record(site: Site) -> SiteRecord:
    return SiteRecord(site)


@pytest.fixture
def labeller(record: SiteRecord) -> Labeller:
    window = Labeller(record, "a", 0.0)
    window.choose("box", 0.0)
    return window


def test_things_are_numbered_and_stuff_is_not(labeller: Labeller, site: Site) -> None:
    labeller.click(HERE, 1)
    labeller.click(HERE, 2, same_object=True)
    labeller.click(THERE, 3)
    labeller.choose("floor", 3)
    labeller.click(THERE, 4)
    said = [(click.class_name, click.object) for click in site.scene("a").clicks()]
    assert said == [("box", 1), ("box", 1), ("box", 2), ("floor", 0)]
    assert all(click.source == "browser" for click in labeller.clicks)


def test_another_click_on_an_object_keeps_its_class(labeller: Labeller) -> None:
    labeller.click(HERE, 1)
    labeller.choose("ball", 2)
    again = labeller.click(HERE, 3, same_object=True)
    assert again is not None and (again.class_name, again.object) == ("box", 1)


def test_a_click_chosen_in_the_list_says_which_object_is_meant(labeller: Labeller) -> None:
    first = labeller.click(HERE, 1)
    labeller.click(THERE, 2)
    assert first is not None
    labeller.selected = first.id
    again = labeller.click(HERE, 3, same_object=True)
    assert again is not None and again.object == first.object


def test_stuff_is_no_object_to_go_on_with(labeller: Labeller) -> None:
    labeller.choose("floor", 0)
    labeller.click(HERE, 1)
    labeller.click(THERE, 2)
    labeller.undo(3)
    with pytest.raises(InputError, match="click on the object once first"):
        labeller.click(THERE, 4, same_object=True)


def test_same_object_without_an_object_says_so(labeller: Labeller) -> None:
    with pytest.raises(InputError, match="click on the object once first"):
        labeller.click(HERE, 1, same_object=True)
    assert labeller.clicks == ()


def test_redo_brings_back_what_undo_took(labeller: Labeller, site: Site) -> None:
    labeller.click(HERE, 1)
    labeller.click(THERE, 2)
    labeller.undo(3)
    labeller.undo(4)
    assert labeller.clicks == ()
    labeller.redo(5)
    labeller.redo(6)
    assert [click.position for click in labeller.clicks] == [HERE, THERE]
    assert [click.object for click in labeller.clicks] == [1, 2]
    with pytest.raises(InputError, match="nothing to redo"):
        labeller.redo(7)
    labeller.undo(8)
    labeller.click(HERE, 9)  # a new deed: what was undone before it is history
    with pytest.raises(InputError, match="nothing to redo"):
        labeller.redo(10)


def test_undo_brings_back_a_deleted_click(labeller: Labeller) -> None:
    click = labeller.click(HERE, 1)
    labeller.delete(click.id, 2)
    assert labeller.clicks == ()
    labeller.undo(3)
    (again,) = labeller.clicks
    assert (again.position, again.class_name, again.object) == (HERE, "box", 1)
    labeller.undo(4)  # … and the click itself can still be undone after that
    assert labeller.clicks == ()


def test_an_exclusion_speaks_of_the_chosen_object(labeller: Labeller, site: Site) -> None:
    with pytest.raises(InputError, match="click on the object once first"):
        labeller.exclude(THERE, 0.5)
    labeller.click(HERE, 1)
    labeller.choose("ball", 2)
    labeller.exclude(THERE, 3)
    said = [(click.kind, click.class_name, click.object) for click in site.scene("a").clicks()]
    assert said == [("click", "box", 1), ("exclude", "box", 1)]


def test_another_class_for_all_clicks_of_an_object(labeller: Labeller, site: Site) -> None:
    labeller.click(HERE, 1)
    labeller.click(THERE, 2, same_object=True)
    labeller.exclude(THERE, 3)
    labeller.click(THERE, 4)  # another object, left alone
    labeller.selected = labeller.clicks[0].id
    labeller.reclass("ball", 5)
    said = [(click.kind, click.class_name, click.object) for click in site.scene("a").clicks()]
    assert said == [("click", "box", 2)] + [
        (kind, "ball", 1) for kind in ("click", "click", "exclude")
    ]
    labeller.reclass("floor", 6)
    assert {(click.class_name, click.object) for click in labeller.clicks[1:]} == {("floor", 0)}
    labeller.undo(7)
    labeller.undo(8)
    assert [click.class_name for click in labeller.clicks] == ["box"] * 4


def test_accepted_predictions_are_of_a_kind_of_their_own(labeller: Labeller, site: Site) -> None:
    labeller.click(HERE, 1)
    assert labeller.accept("ball", [[HERE, THERE], [THERE]], 3) == 3
    said = [(click.kind, click.class_name, click.object) for click in site.scene("a").clicks()]
    assert said[1:] == [("accept", "ball", 2), ("accept", "ball", 2), ("accept", "ball", 3)]
    assert [click.seconds for click in labeller.clicks] == [1, 2, 0, 0]
    labeller.undo(4)
    assert len(labeller.clicks) == 1


def test_a_class_added_by_another_program_is_known_at_once(record: SiteRecord, site: Site) -> None:
    window = Labeller(record, "a", 0.0)
    other = Site.open(site.path).add_class(ClassInfo(name="hat", color=(1, 2, 3)))
    other.scene("a").append_click(Click(position=HERE, class_name="hat", source="rviz"))
    window.choose("hat", 1)
    window.click(THERE, 2)
    record.add_class(ClassInfo(name="cap", color=(1, 2, 3)))
    names = [known.name for known in Site.open(site.path).config.classes]
    assert names == ["floor", "box", "ball", "hat", "cap"]
    with pytest.raises(InputError, match="class hat is listed twice"):
        record.add_class(ClassInfo(name="hat", color=(1, 2, 3)))


def test_undo_takes_back_only_what_this_window_said(
    labeller: Labeller, record: SiteRecord, site: Site
) -> None:
    other = Labeller(record, "a", 0.0)
    other.choose("ball", 0)
    labeller.click(HERE, 1)
    other.click(THERE, 2)
    assert labeller.undo(3).added[0].class_name == "box"
    assert [click.class_name for click in site.scene("a").clicks()] == ["ball"]
    with pytest.raises(InputError, match="nothing to undo in this window"):
        labeller.undo(4)


def test_numbers_of_objects_are_not_used_twice(labeller: Labeller) -> None:
    labeller.click(HERE, 1)
    labeller.undo(2)
    again = labeller.click(THERE, 3)
    assert again is not None and again.object == 2


def test_deleting_one_click_of_an_object_keeps_the_object_chosen(labeller: Labeller) -> None:
    labeller.click(HERE, 1)
    second = labeller.click(THERE, 2, same_object=True)
    assert second is not None
    labeller.delete(second.id, 3)
    with pytest.raises(InputError, match="already"):
        labeller.delete(second.id, 4)
    third = labeller.click(THERE, 5, same_object=True)
    assert third is not None and third.object == 1


def test_clicks_of_other_programs_are_seen(labeller: Labeller, site: Site) -> None:
    assert labeller.clicks == ()
    said = Click(position=HERE, class_name="ball", object=7, source="rviz")
    site.scene("a").append_click(said)
    assert labeller.clicks == (said,)
    mine = labeller.click(THERE, 2)
    assert mine is not None and mine.object == 8


def test_windows_at_once_neither_lose_nor_mix_clicks(record: SiteRecord, site: Site) -> None:
    def work(name: str) -> None:
        window = Labeller(record, "a", 0.0)
        window.choose(name, 0)
        for number in range(20):
            window.click(HERE if name == "box" else THERE, 1.0 + number)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("box", "ball") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clicks = site.scene("a").clicks()
    assert sorted(click.object for click in clicks) == list(range(1, 81))
    assert all((click.class_name == "box") == (click.position == HERE) for click in clicks)


def test_a_refused_click_changes_nothing(labeller: Labeller) -> None:
    with pytest.raises(InputError, match="outside the cloud"):
        labeller.click((0.0, 0.0, 0.0), 1)
    assert labeller.clicks == () and labeller.selected is None
    click = labeller.click(HERE, 3)
    assert click is not None and click.seconds == 3


def test_seconds_are_told_and_pauses_left_out(labeller: Labeller, record: SiteRecord) -> None:
    labeller.sign(4)  # looked for 4 s, …
    labeller.sign(4 + PAUSE + 600)  # had a coffee, …
    first = labeller.click(HERE, 4 + PAUSE + 602.5)
    assert first is not None and first.seconds == pytest.approx(6.5)
    labeller.undo(4 + PAUSE + 604)
    labeller.open("b", 4 + PAUSE + 605)
    second = labeller.click(HERE, 4 + PAUSE + 606)
    assert second is not None and second.seconds == pytest.approx(3.5)
    assert record.of("a").seconds == pytest.approx(6.5)  # also that on a click taken back
    assert record.projected_seconds() == pytest.approx(3.5)  # one scene begun, one to go


def test_stopwatch() -> None:
    watch = Stopwatch(10)
    watch.sign(12)
    watch.sign(11)  # signs of two threads may come in the wrong order
    assert watch.worked(15) == 5
    watch.restart()
    assert watch.worked(15 + PAUSE) == PAUSE
    assert watch.worked(16 + 3 * PAUSE) == PAUSE


def test_only_training_scenes_are_to_do(site: Site) -> None:
    site.add_scene("v", site.scene("a").cloud(), split="val")
    record = SiteRecord(site)
    assert record.to_label == ["a", "b"] and list(record.scenes) == ["a", "b", "v"]


def test_unknown_class_and_empty_site(labeller: Labeller, site: Site, tmp_path) -> None:
    with pytest.raises(InputError, match="unknown class 'hat'"):
        labeller.choose("hat", 0)
    empty = Site.create(tmp_path / "empty", "empty", site.config.classes, 0.05)
    with pytest.raises(InputError, match="no scenes"):
        SiteRecord(empty)
