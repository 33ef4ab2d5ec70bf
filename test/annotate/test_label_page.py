"""The real page in a real browser: mouse and keys in, clicks on disk out."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("viser", reason="needs the extra [label]: pip install 'otoc_ros[label]'")

from box_site import CENTRE, SIDE
from chromium import BINARY, Tab, browser, middle, tab, wait
from label_process import page
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from otoc_ros.cli import main
from otoc_ros.site.clicks import Click
from otoc_ros.site.site import Site


def lines(site: Site, scene: str = "a") -> list[dict]:
    path = site.scene(scene).clicks_path
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def choose(window: Tab, key: str, name: str) -> None:
    """Choose a class by its number key, once there is something to click."""
    window.page.wait_for_selector("canvas")
    window.press(key)
    wait(lambda: f"\n{name}" in window.text())


@pytest.mark.skipif(BINARY is None, reason="needs Chromium: apt install chromium")
def test_click_undo_reload_and_a_second_window(site: Site, tmp_path: Path) -> None:
    broken = site.add_scene("broken", site.scene("a").cloud())
    scan = broken.path / "scan.ply"
    scan.write_bytes(scan.read_bytes()[:5000])
    with page(site) as link, browser() as chromium, tab(chromium, link) as window:
        window.shows("0 clicks here")
        choose(window, "2", "box")

        # The pin is announced only after the click is on disk.
        window.click(*middle(window))
        window.shows("1 click here")
        (said,) = lines(site)
        assert said["class"] == "box" and said["object"] == 1 and said["source"] == "browser"
        assert (np.abs(np.array(said["position"]) - CENTRE) <= SIDE + 0.01).all()
        assert said["position"][2] > CENTRE[2] + 0.05  # on the box, not on the floor behind it
        assert said["seconds"] > 0
        window.shows("1: box 1")

        x, y = middle(window)
        window.click(x + 12, y - 12, "Shift")
        window.shows("2 clicks here")
        assert [line["object"] for line in lines(site)] == [1, 1]

        window.click_words("Undo")
        window.shows("1 click here")
        assert lines(site)[-1]["withdraws"] == lines(site)[1]["id"]
        window.press("Control+z")
        window.shows("0 clicks here")
        assert site.scene("a").clicks() == []

        window.click(x, y)
        window.shows("1 click here")
        window.page.reload()
        window.shows("1 click here")

        with tab(chromium, link) as other:
            other.shows("1 click here")
            site.scene("a").append_click(  # the robot's node, say
                Click(position=tuple(CENTRE), class_name="floor", source="rviz")
            )
            other.shows("2 clicks here")
            other.click(x, y)
            other.shows("3 clicks here")
            assert other.errors == []
        window.page.bring_to_front()
        window.shows("3 clicks here")

        window.press("n")
        window.shows("0 clicks here")
        assert lines(site, "b") == []
        window.press("n")  # a scene whose scan is cut short
        window.shows("Not done")
        window.click(*middle(window))
        window.shows("1 click here")
        assert len(lines(site, "b")) == 1
        window.page.screenshot(path=tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 10_000
        assert window.errors == []


def test_from_elsewhere_only_with_the_secret_of_the_link(site: Site) -> None:
    with page(site, "--host", "127.0.0.2") as link:
        root, token = link.rstrip("/").rsplit("/", 1)
        with urllib.request.urlopen(link, timeout=60) as answer:
            assert b"<title>" in answer.read()
        for wrong in (f"{root}/", f"{root}/{token[:-1]}/", f"{root}/{'a' * len(token)}/"):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(wrong, timeout=60)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{link}../../site.yaml", timeout=60)
        socket = root.replace("http", "ws")
        with pytest.raises(InvalidStatus, match="403"):
            connect(f"{socket}/", open_timeout=60)
        with connect(f"{socket}/{token}", open_timeout=60):
            pass


def test_bad_input_is_one_line(
    site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    empty = Site.create(tmp_path / "empty", "empty", site.config.classes, 0.05)
    with page(site) as link:
        port = link.rstrip("/").rsplit(":", 1)[1]
        for arguments, message in (
            (["label", str(empty.path)], "has no scenes; bring some in with `otoc import`"),
            (["label", str(tmp_path)], "is not a site"),
            (["label", str(site.path), "--port", port], f"cannot listen on localhost port {port}"),
        ):
            with pytest.raises(SystemExit) as caught:
                main(arguments)
            printed = capsys.readouterr()
            assert caught.value.code == 2 and message in printed.err, printed
            assert printed.err.count("\n") == 1 and printed.out == ""


@pytest.mark.skipif(BINARY is None, reason="needs Chromium: apt install chromium")
def test_refine_exclude_redo_suggest_and_accept(site: Site, tmp_path: Path) -> None:
    with page(site) as link, browser() as chromium, tab(chromium, link) as window:
        window.shows("0 clicks here")
        choose(window, "2", "box")
        x, y = middle(window)
        window.click(x, y)
        window.shows("1 click here")
        window.click(x - 200, y, "Control")  # on the floor
        window.shows("2 clicks here")
        assert [(line["kind"], line["object"]) for line in lines(site)] == [
            ("click", 1),
            ("exclude", 1),
        ]
        window.press("Control+z")
        window.shows("1 click here")
        window.press("Control+y")
        window.shows("2 clicks here")
        window.press("Control+z")
        window.shows("1 click here")

        choose(window, "3", "ball")
        window.click_words("Re-class")
        window.shows("1: ball 1")

        # The super-voxels are there now; the floor is what is left to click.
        window.press("Space")
        window.click_words("View")
        window.click_words("Whole scene")
        window.click_words("Help")
        window.shows("1 example, compared by")
        assert "Not done" not in window.text()
        window.click_words("Classes")
        window.click_words("Accept what is surer")
        wait(lambda: any(line["kind"] == "accept" for line in lines(site)))
        accepted = [line for line in lines(site) if line["kind"] == "accept"]
        assert {line["class"] for line in accepted} == {"ball"}
        window.click_words("Label")
        window.shows(f"{len(accepted)} predictions accepted")

        window.click_words("New class")
        window.type_into("Name", "hat")
        window.click_words("Add class")
        wait(lambda: Site.open(site.path).config.classes[-1].name == "hat")
        window.shows("4 hat")
        window.press("4")
        assert window.errors == []
