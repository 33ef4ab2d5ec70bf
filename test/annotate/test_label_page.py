"""The real page in a real browser: mouse and keys in, clicks on disk out."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("viser", reason="needs the extra [label]: pip install 'otoc_ros[label]'")

from box_site import CENTRE, SIDE
from chromium import BINARY, CONTROL, SHIFT, Tab, browser, wait
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from otoc_ros.cli import main
from otoc_ros.site.clicks import Click
from otoc_ros.site.site import Site

ROOT = Path(__file__).parents[2]
SLOW = 240  # seconds; drawing without a graphics card, on a machine that others use


@contextmanager
def page(site: Site, *options: str) -> Iterator[str]:
    """The link of a running `otoc label`."""
    script = "from otoc_ros.cli import main; main()"
    command = [sys.executable, "-c", script, "label", str(site.path), "--port", "0", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def lines(site: Site, scene: str = "a") -> list[dict]:
    path = site.scene(scene).clicks_path
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def shows(tab: Tab, words: str) -> None:
    try:
        wait(lambda: words in tab.text(), SLOW)
    except AssertionError:
        raise AssertionError(f"{words!r} is not on the page:\n{tab.text()}") from None


def middle(tab: Tab) -> tuple[float, float]:
    """Where the box is seen: the view is turned to the middle of the scene."""
    return tuple(tab.run("[innerWidth / 2, innerHeight / 2]"))


@pytest.mark.skipif(BINARY is None, reason="needs Chromium: apt install chromium")
def test_click_undo_reload_and_a_second_window(site: Site, tmp_path: Path) -> None:
    broken = site.add_scene("broken", site.scene("a").cloud())
    scan = broken.path / "scan.ply"
    scan.write_bytes(scan.read_bytes()[:5000])
    with page(site) as link, browser(tmp_path / "profile") as chromium, chromium.tab(link) as tab:
        shows(tab, "0 clicks here")
        wait(lambda: tab.run("!!document.querySelector('canvas')"), SLOW)
        tab.press("2", "Digit2")
        wait(lambda: "\nbox" in tab.text(), SLOW)

        # The pin is announced only after the click is on disk.
        tab.click(*middle(tab))
        shows(tab, "1 click here")
        (said,) = lines(site)
        assert said["class"] == "box" and said["object"] == 1 and said["source"] == "browser"
        assert (np.abs(np.array(said["position"]) - CENTRE) <= SIDE + 0.01).all()
        assert said["position"][2] > CENTRE[2] + 0.05  # on the box, not on the floor behind it
        assert said["seconds"] > 0
        shows(tab, "1: box 1")

        x, y = middle(tab)
        tab.click(x + 12, y - 12, SHIFT)
        shows(tab, "2 clicks here")
        assert [line["object"] for line in lines(site)] == [1, 1]

        tab.click_button("Undo")
        shows(tab, "1 click here")
        assert lines(site)[-1]["withdraws"] == lines(site)[1]["id"]
        tab.press("z", "KeyZ", CONTROL)
        shows(tab, "0 clicks here")
        assert site.scene("a").clicks() == []

        tab.click(x, y)
        shows(tab, "1 click here")
        tab.reload()
        wait(lambda: "click" not in tab.text(), SLOW)
        shows(tab, "1 click here")

        with chromium.tab(link) as other:
            shows(other, "1 click here")
            site.scene("a").append_click(  # the robot's node, say
                Click(position=tuple(CENTRE), class_name="floor", source="rviz")
            )
            shows(other, "2 clicks here")
            other.click(x, y)
            shows(other, "3 clicks here")
            assert other.errors == []
        tab.come_to_front()
        shows(tab, "3 clicks here")

        tab.press("n", "KeyN")
        shows(tab, "0 clicks here")
        assert lines(site, "b") == []
        tab.press("n", "KeyN")  # a scene whose scan is cut short
        shows(tab, "Not done")
        tab.click(*middle(tab))
        shows(tab, "1 click here")
        assert len(lines(site, "b")) == 1
        tab.screenshot(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 10_000
        assert tab.errors == []


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
    def on_floor(tab: Tab) -> tuple[float, float]:
        x, y = middle(tab)
        return x - 200, y

    with page(site) as link, browser(tmp_path / "profile") as chromium, chromium.tab(link) as tab:
        shows(tab, "0 clicks here")
        wait(lambda: tab.run("!!document.querySelector('canvas')"), SLOW)
        tab.press("2", "Digit2")
        wait(lambda: "\nbox" in tab.text(), SLOW)
        tab.click(*middle(tab))
        shows(tab, "1 click here")
        tab.click(*on_floor(tab), CONTROL)
        shows(tab, "2 clicks here")
        assert [(line["kind"], line["object"]) for line in lines(site)] == [
            ("click", 1),
            ("exclude", 1),
        ]
        tab.press("z", "KeyZ", CONTROL)
        shows(tab, "1 click here")
        tab.press("y", "KeyY", CONTROL)
        shows(tab, "2 clicks here")
        tab.press("z", "KeyZ", CONTROL)
        shows(tab, "1 click here")

        tab.press("3", "Digit3")
        wait(lambda: "\nball" in tab.text(), SLOW)
        tab.click_button("Re-class")
        shows(tab, "1: ball 1")

        # The super-voxels are there now; the floor is what is left to click.
        tab.press(" ", "Space")
        wait(lambda: "next" in tab.run("document.body.innerText"), SLOW)
        tab.click_button("View")
        tab.click_button("Whole scene")
        tab.click_button("Help")
        shows(tab, "1 example, compared by")
        tab.click_button("Classes")
        tab.click_button("Accept what is surer")
        wait(lambda: any(line["kind"] == "accept" for line in lines(site)), SLOW)
        accepted = [line for line in lines(site) if line["kind"] == "accept"]
        assert {line["class"] for line in accepted} == {"ball"}
        tab.click_button("Label")
        shows(tab, f"{len(accepted)} predictions accepted")

        tab.click_button("New class")
        wait(lambda: tab.run("!!document.querySelector('input[type=text]')"), SLOW)
        tab.type_into("Name", "hat")
        wait(lambda: "hat" in tab.text(), SLOW)
        tab.click_button("Add class")
        wait(lambda: Site.open(site.path).config.classes[-1].name == "hat", SLOW)
        shows(tab, "4 hat")
        tab.press("4", "Digit4")
        assert tab.errors == []
