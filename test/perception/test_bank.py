"""The run-time bank: lessons decide outside the product, and can be taken back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from otoc_ros.core.errors import InputError
from otoc_ros.perception.bank import Bank, Lesson
from otoc_ros.perception.bank_file import Change, append_changes, load_bank, taught
from otoc_ros.site.classes import ClassInfo, parse_classes

KNOWN = tuple(parse_classes("floor:stuff,box"))
VASE = ClassInfo(name="vase", color=(1, 2, 3))
BASIS = np.eye(4, dtype=np.float32)
UNTAUGHT = Bank(KNOWN, BASIS[:2])


def lesson(click: str, class_name: str, *rows: int, threshold: float = 0.8) -> Lesson:
    grey = np.full((len(rows), 3), 0.5, np.float32)
    return Lesson(click, f"scene {click}", class_name, BASIS[list(rows)], grey, threshold)


def decided(bank: Bank, *embedding: np.ndarray, colour: float = 0.5) -> np.ndarray:
    rows = np.array(embedding, np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    probability = np.tile(np.float32([0.7, 0.3]), (len(rows), 1))
    colours = np.full((len(rows), 3), colour, np.float32)
    return bank.decide(probability, bank.beyond_threshold(rows @ bank.prototypes.T, colours))


def test_without_lessons_the_networks_decide() -> None:
    np.testing.assert_array_equal(decided(UNTAUGHT, BASIS[2]), np.float32([[0.7, 0.3]]))


def test_a_new_class_takes_what_is_like_it_and_nothing_else() -> None:
    bank = UNTAUGHT.taught(lesson("a", "vase", 2), VASE)
    assert [known.name for known in bank.classes] == ["floor", "box", "vase"]
    assert bank.thing.tolist() == [False, True, True]
    alike, border, other = BASIS[2], BASIS[2] * 0.8 + BASIS[3] * 0.6, BASIS[3]
    belief = decided(bank, alike, border, other)
    np.testing.assert_allclose(belief.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(belief[0], [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(belief[1, 2], 0.5, atol=1e-3)
    np.testing.assert_allclose(belief[1, :2], [0.35, 0.15], atol=1e-3)  # what is left, as before
    np.testing.assert_allclose(belief[2], [0.7, 0.3, 0], atol=1e-6)


def test_a_lesson_overrules_the_networks_in_a_class_they_know() -> None:
    bank = UNTAUGHT.taught(lesson("a", "box", 2), KNOWN[1])
    assert bank.classes == KNOWN
    assert decided(bank, BASIS[2]).argmax() == 1


def test_colour_tells_apart_what_the_embedding_cannot() -> None:
    bank = UNTAUGHT.taught(lesson("a", "vase", 2), VASE)
    assert decided(bank, BASIS[2], colour=0.55).argmax() == 2
    assert decided(bank, BASIS[2], colour=0.9).argmax() == 0
    assert decided(bank, BASIS[2], colour=np.nan).argmax() == 2  # a sensor without colour


def test_what_a_lesson_decides_is_told() -> None:
    rows = BASIS[[1, 2]]
    colour = np.full((2, 3), 0.5, np.float32)
    untaught = UNTAUGHT.beyond_threshold(rows @ UNTAUGHT.prototypes.T, colour)
    assert not (untaught >= 0).any(axis=1).any()
    bank = UNTAUGHT.taught(lesson("a", "vase", 2), VASE)
    beyond = bank.beyond_threshold(rows @ bank.prototypes.T, colour)
    assert (beyond >= 0).any(axis=1).tolist() == [False, True]


def test_of_two_lessons_the_nearer_one_decides() -> None:
    bank = UNTAUGHT.taught(lesson("a", "vase", 2, threshold=0.1), VASE)
    bank = bank.taught(lesson("b", "box", 3, threshold=0.1), KNOWN[1])
    between = BASIS[2] * 0.5 + BASIS[3] * 0.8
    assert decided(bank, between).argmax() == 1
    assert decided(bank, BASIS[2]).argmax() == 2


def test_forgetting_takes_a_class_away_with_its_last_lesson_but_moves_no_id() -> None:
    lamp = ClassInfo(name="lamp", color=(4, 5, 6))
    bank = UNTAUGHT.taught(lesson("a", "vase", 2), VASE).taught(lesson("b", "lamp", 3), lamp)
    without = bank.forgotten("a")
    assert [known.name for known in without.classes] == ["floor", "box", "vase", "lamp"]
    assert decided(without, BASIS[2]).argmax() == 0
    assert decided(without, BASIS[3]).argmax() == 3
    assert without.forgotten("b").classes == KNOWN
    assert bank.forgotten("nothing").lessons == bank.lessons


def save(path: Path, *lessons: tuple[Lesson, ClassInfo]) -> None:
    append_changes(path, [taught(each, info) for each, info in lessons], "hash")


def test_a_bank_comes_back_from_its_file_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "banks" / "hash.jsonl"
    assert load_bank(path, UNTAUGHT, "hash") is UNTAUGHT
    bank = UNTAUGHT.taught(lesson("a", "vase", 2, 3), VASE).taught(lesson("b", "box", 1), KNOWN[1])
    bank.lessons[1].colour[:] = np.nan
    save(path, (bank.lessons[0], VASE))
    save(path, (bank.lessons[1], KNOWN[1]))
    again = load_bank(path, UNTAUGHT, "hash")
    assert again.classes == bank.classes
    np.testing.assert_array_equal(again.prototypes, bank.prototypes)
    for one, before in zip(again.lessons, bank.lessons, strict=True):
        np.testing.assert_array_equal(one.colour, before.colour)
    assert [one.click for one in again.lessons] == ["a", "b"]
    assert [one.scene for one in again.lessons] == ["scene a", "scene b"]
    assert again.lessons[0].threshold == bank.lessons[0].threshold
    append_changes(path, [Change(forgotten="a")], "hash")
    assert load_bank(path, UNTAUGHT, "hash").classes == bank.forgotten("a").classes


def test_a_click_costs_the_bank_no_more_than_its_own_line(tmp_path: Path) -> None:
    path = tmp_path / "hash.jsonl"
    save(path, (lesson("a", "vase", 2), VASE))
    before = path.read_bytes()
    save(path, (lesson("b", "vase", 3), VASE))
    assert path.read_bytes().startswith(before)


def test_a_torn_line_was_never_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "hash.jsonl"
    save(path, (lesson("a", "vase", 2), VASE))
    whole = path.read_bytes()
    save(path, (lesson("b", "vase", 3), VASE))
    line = path.read_bytes()[len(whole) :]
    for end in range(len(line)):
        path.write_bytes(whole + line[:end])
        assert [each.click for each in load_bank(path, UNTAUGHT, "hash").lessons] == ["a"]
    save(path, (lesson("c", "vase", 3), VASE))
    assert [each.click for each in load_bank(path, UNTAUGHT, "hash").lessons] == ["a", "c"]
    for end in range(whole.index(b"\n") + 1):  # the first line, too
        path.write_bytes(whole[:end])
        assert load_bank(path, UNTAUGHT, "hash") is UNTAUGHT
    save(path, (lesson("d", "vase", 3), VASE))
    assert [each.click for each in load_bank(path, UNTAUGHT, "hash").lessons] == ["d"]


@pytest.mark.parametrize("damage", ["cut", "bundle", "class", "width"])
def test_a_bank_that_does_not_fit_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "hash.jsonl"
    save(path, (lesson("a", "vase", 2), VASE))
    text = path.read_text()
    untaught = UNTAUGHT
    if damage == "cut":
        path.write_text(text[: len(text) // 2] + "\n")
    elif damage == "class":
        path.write_text(text.replace('"class_name":"vase"', '"class_name":"jar"'))
    elif damage == "width":
        untaught = Bank(KNOWN, np.eye(3, dtype=np.float32)[:2])
    with pytest.raises(InputError, match=str(path)):
        load_bank(path, untaught, "another" if damage == "bundle" else "hash")
