"""Prototypes, what they believe, and where the next click should go."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from box_site import CENTRE, SIDE

from otoc_ros.annotate.board import Board
from otoc_ros.annotate.record import SiteRecord
from otoc_ros.annotate.scan import Scan
from otoc_ros.site.clicks import Click
from otoc_ros.site.site import Site

ON_BOX = tuple(CENTRE + [0, 0, SIDE])
ON_FLOOR = tuple(CENTRE + [1.2, 0, 0])


@pytest.fixture
def scans(site: Site) -> dict[str, Scan]:
    with ThreadPoolExecutor(1) as background:
        return {name: Scan.load(site.scene(name), 0.05, background) for name in ("a", "b")}


@pytest.fixture
def board(site: Site, scans: dict[str, Scan]) -> Board:
    return Board(SiteRecord(site), lambda name: scans[name].found_segments())


def say(site: Site, scene: str, position: tuple, class_name: str, number: int = 0) -> None:
    click = Click(position=position, class_name=class_name, object=number, source="browser")
    site.scene(scene).append_click(click)


def test_classes_of_one_scene_are_believed_in_another(
    board: Board, site: Site, scans: dict[str, Scan]
) -> None:
    assert board.belief("b") is None and board.next_scene("a") == "b"
    say(site, "a", ON_BOX, "box", 1)
    say(site, "a", ON_FLOOR, "floor")
    segments, belief = scans["b"].segments.result(), board.belief("b")
    assert belief is not None
    assert np.allclose(belief.sum(axis=1), 1, atol=1e-5)
    named = belief.argmax(axis=1)[segments.of_point]
    high = scans["b"].xyz[:, 2] > 0.15
    assert (named[high] == 1).mean() > 0.8 and (named[~high] == 0).mean() > 0.8
    own = board.belief("a")
    assert own is not None and own[segments.at(ON_BOX)].max() == 1


def test_suggestions_are_what_is_left(board: Board, site: Site, scans: dict[str, Scan]) -> None:
    segments = scans["a"].segments.result()
    first = board.suggestions("a")[0]
    assert first.class_id == -1 and first.worth > 0
    assert segments.center[first.place, 2] < 0.1  # the floor is the largest piece by far
    say(site, "a", ON_FLOOR, "floor")
    (best, *_) = board.suggestions("a")
    height = segments.center[best.members, 2]
    assert height.max() > 0.3  # now the box, …
    board.pass_over("a", best)
    for other in board.suggestions("a"):  # … unless a person has had enough of it
        assert not set(other.members) & set(best.members)
    say(site, "a", ON_BOX, "box", 1)
    left = board.suggestions("a")
    assert sum(segments.size[one.members].sum() for one in left) < 0.1 * segments.size.sum()


def test_what_looks_like_an_example_teaches_less(board: Board, site: Site) -> None:
    before = board.suggestions("b")[0].worth
    say(site, "a", ON_FLOOR, "floor")
    say(site, "a", ON_BOX, "box", 1)
    assert board.suggestions("b")[0].worth < before / 2


def test_an_exclusion_takes_the_class_from_a_place(
    board: Board, site: Site, scans: dict[str, Scan]
) -> None:
    say(site, "a", ON_BOX, "box", 1)
    place = scans["a"].segments.result().at(ON_FLOOR)
    belief = board.belief("a")
    assert belief is not None and belief[place].argmax() == 1  # the only example there is
    no = Click(kind="exclude", position=ON_FLOOR, class_name="box", object=1, source="browser")
    site.scene("a").append_click(no)
    belief = board.belief("a")
    assert belief is not None and belief[place, 1] == 0
