"""A connection that breaks amid clicks: what the page has told is on disk, and nothing twice.

OTOC_KILLS sets the number of trials (5); before a release it is 250.
"""

import os
import random
import time

import pytest

pytest.importorskip("viser", reason="needs the extra [label]: pip install 'otoc_ros[label]'")

from chromium import BINARY, browser, middle, tab, wait
from label_process import page
from line import Line
from raw_window import RawWindow

from otoc_ros.site.clicks import Click, read_events
from otoc_ros.site.site import Site

TRIALS = int(os.environ.get("OTOC_KILLS", "5"))
ROW = 40  # clicks side by side, 0.1 m apart


def written(site: Site) -> list[Click]:
    """What is on disk now; a line that is half there raises."""
    path = site.scene("a").clicks_path
    return read_events(path) if path.exists() else []


def click_next(window: RawWindow, number: int) -> None:
    """Click from above on a place that no other number has."""
    across, along = number % ROW, number // ROW % ROW
    above = (0.1 * across - 2.0, 0.1 * along - 2.0, 5.0)
    window.click(above, (0.0, 0.0, -1.0), (across / ROW, along / ROW))


def disconnect(site: Site, trials: int) -> tuple[int, int, int]:
    """Break the connection of windows that click in scene `a`.

    Returns:
        How many clicks were sent, how many of them the page has told by then, and how many of the
        told ones were not on disk.
    """
    chance = random.Random(0)
    asked = told = lost = 0
    with page(site) as link:
        for trial in range(trials):
            before = len(written(site))
            window = RawWindow(link)
            window.hear(before)  # whoever comes back is told what is on disk
            for _ in range(1 + trial % 4):
                click_next(window, asked)
                asked += 1
            if trial % 3:
                window.hear(before + 1)
                lost += max(0, (window.told or 0) - len(written(site)))
            time.sleep(chance.uniform(0.0, 0.1))  # anywhere amid the clicks, that is the point
            heard = window.cut()
            told += heard - before
            lost += max(0, heard - len(written(site)))
        back = RawWindow(link)
        back.hear(len(written(site)))
        back.cut()
    return asked, told, lost


def test_a_broken_connection_loses_no_click_that_was_told(site: Site) -> None:
    asked, told, lost = disconnect(site, TRIALS)
    clicks = written(site)
    assert lost == 0 and told >= TRIALS // 2 and len(clicks) <= asked
    assert len({click.position for click in clicks}) == len(clicks)


def test_a_window_that_comes_back_looks_from_where_it_was(site: Site) -> None:
    here = (1.0, 2.0, 3.0)
    with page(site) as link:
        window = RawWindow(link)
        window.hear(0)
        assert window.placed
        window.look_from(here)
        click_next(window, 0)
        window.hear(1)
        window.cut()
        back = RawWindow(link, here)
        back.hear(1)
        assert not back.placed
        another = RawWindow(link)
        another.hear(1)
        assert another.placed
        another.cut()
        back.cut()


@pytest.mark.skipif(BINARY is None, reason="needs Chromium: apt install chromium")
def test_the_page_says_that_the_connection_is_lost_and_recovers(site: Site) -> None:
    with (
        page(site) as there,
        Line(there) as line,
        browser() as chromium,
        tab(chromium, line.link) as window,
    ):
        window.shows("0 clicks here")
        window.page.wait_for_selector("canvas")
        window.press("2")
        window.shows("\nbox")
        x, y = middle(window)
        window.click(x, y)
        window.shows("1: box 1")

        line.cut()
        window.shows("Connecting...")
        window.click(x, y + 60)  # goes nowhere
        line.mend()
        wait(lambda: "Connecting..." not in window.text())
        window.shows("1 click here")
        window.shows("\nbox")  # the class that was chosen, not the table's first
        window.click(x + 10, y)
        window.shows("2: box 2")
        window.press("Control+z")
        window.press("Control+z")  # what it did before the connection was lost, too
        window.shows("0 clicks here")
    assert [(click.kind, click.class_name, click.object) for click in written(site)] == [
        ("click", "box", 1),
        ("click", "box", 2),
        ("withdraw", None, 0),
        ("withdraw", None, 0),
    ]
