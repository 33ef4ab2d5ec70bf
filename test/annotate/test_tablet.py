"""The page under fingers, without a mouse and without keys."""

from pathlib import Path

import pytest

pytest.importorskip("viser", reason="needs the extra [label]: pip install 'otoc_ros[label]'")

from chromium import BINARY, Tab, browser, middle, tab
from label_process import page

from otoc_ros.site.site import Site

TABLET = {"viewport": {"width": 1080, "height": 810}, "has_touch": True, "is_mobile": True}


def pick(window: Tab, label: str, choice: str) -> None:
    """Choose from a list by two taps."""
    window.page.get_by_text(label, exact=True).last.locator("xpath=following::input[1]").tap()
    window.page.get_by_role("option", name=choice, exact=True).tap()
    window.shows(f"\n{choice}")


def swipe(window: Tab, x: float, y: float) -> None:
    """Draw a finger over the scene, which turns it."""
    finger = window.page.context.new_cdp_session(window.page)
    for kind, far in (("touchStart", 0), ("touchMove", 40), ("touchMove", 80), ("touchEnd", None)):
        points = [] if far is None else [{"x": x + far, "y": y + far}]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


@pytest.mark.skipif(BINARY is None, reason="needs Chromium: apt install chromium")
def test_a_tap_is_a_click_and_lists_stand_for_the_keys(site: Site, tmp_path: Path) -> None:
    with page(site) as link, browser(**TABLET) as chromium, tab(chromium, link) as window:
        window.shows("0 clicks here")
        window.page.wait_for_selector("canvas")
        x, y = middle(window)
        pick(window, "Class", "box")
        window.page.touchscreen.tap(x, y)
        window.shows("1: box 1")
        pick(window, "Click means", "same object")
        window.page.touchscreen.tap(x + 14, y - 10)
        window.shows("2 clicks here")
        pick(window, "Click means", "not this object")
        window.page.touchscreen.tap(x - 150, y)
        window.shows("3 clicks here")
        window.page.get_by_text("Undo", exact=True).last.tap()
        window.shows("2 clicks here")
        swipe(window, x, y + 100)
        pick(window, "Click means", "new object")
        window.page.screenshot(path=tmp_path / "tablet.png")
        assert window.errors == []
    said = [(click.kind, click.class_name, click.object) for click in site.scene("a").events()]
    assert said == [
        ("click", "box", 1),
        ("click", "box", 1),
        ("exclude", "box", 1),
        ("withdraw", None, 0),
    ]
