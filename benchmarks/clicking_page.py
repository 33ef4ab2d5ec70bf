"""How fast the real page answers in a real browser: a scene of a million points, twenty objects."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import viser
from clicking_server import answers
from clicking_watch import ANSWERS, PICTURES, frames
from clicking_work import Work
from PIL import Image

from otoc_ros.core.cloud import Cloud
from otoc_ros.site.classes import parse_classes
from otoc_ros.site.site import Site

sys.path.insert(0, str(Path(__file__).parents[1] / "test" / "annotate"))  # drives the same browser

POINTS = 1_000_000
OBJECTS = 20
GAP = 2.0  # metres between the rooms that make up the scene
CANVAS = (slice(160, 700), slice(20, 930))  # pixels clear of viser's panel and its notices
REST = 3.0  # seconds until a browser that has just started has nothing more to do
TURNS = 3  # times that a page is opened; their median is told
LEAST_DRAWN = 5_000  # points in one piece: the scan, not a pin
DRAWN = 70  # grey value; the page's background has 20


def page(rooms: Site, seed: int) -> dict:
    """Seconds to the first picture and for twenty objects, milliseconds of each answer.

    `server` is what the program takes for a click, `answer` what a window in a browser takes to
    say that it is on disk, `drawn` what it takes to show what lights up.
    """
    from chromium import browser, tab, wait
    from label_process import page as serving

    with (
        tempfile.TemporaryDirectory() as folder,
        serving(_million(rooms, Path(folder) / "site")) as link,
        browser() as chromium,
    ):
        chromium.new_page()
        time.sleep(REST)
        chromium.add_init_script(frames(LEAST_DRAWN))
        opened = _openings(chromium, link)
        with tab(chromium, link) as window:
            look = window.page.evaluate
            window.shows("0 clicks here")
            drawn = wait(lambda: _drawn(window.page.screenshot()))
            window.press("2")
            wait(lambda: "\nthing" in window.text())
            look(ANSWERS)
            begin = time.monotonic()
            done = sum(_click(window, x, y) for x, y in _spots(drawn))
            seconds = time.monotonic() - begin
            told = look("window.answers.map(({released, told}) => told - released)")
            shown = wait(lambda: None not in (found := look(PICTURES)) and found)
            errors = window.errors
    assert not errors, errors
    with tempfile.TemporaryDirectory() as folder:
        served, worked = answers(_million(rooms, Path(folder) / "site"), seed)
    row = {
        "points": POINTS,
        **opened,
        "objects": done,
        "seconds": round(seconds, 2),
        **_percentiles("server", served),
        "server_cpu_ms": round(worked, 1),
        **_percentiles("answer", told),
        **_percentiles("drawn", shown),
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }
    goals = {"page_p95_ms": row["answer_p95_ms"], "seconds_20_objects": row["seconds"]}
    return {"page": row} | goals


def _openings(chromium, link: str) -> dict[str, float]:
    """Seconds to the first picture of the page, in turns with a page that has next to nothing.

    Beside them what the browser has worked by then: that, others on the machine change less.
    """
    from chromium import tab, wait

    found: dict[str, list[float]] = defaultdict(list)
    with _bare_page() as bare:
        for _ in range(TURNS):
            for name, address in (("bare_page", bare), ("first_picture", link)):
                work = Work("chromium")
                with tab(chromium, address) as window:
                    look = window.page.evaluate
                    drawn = wait(lambda: look("window.frames_drawn[0]?.done"))  # noqa: B023
                    found[f"{name}_cpu_s"].append(work.done())
                found[f"{name}_s"].append(drawn / 1000)
    return {name: round(float(np.median(each)), 2) for name, each in found.items()}


@contextmanager
def _bare_page() -> Iterator[str]:
    """The link of a page of viser's with a few points and no controls."""
    with redirect_stdout(io.StringIO()):  # viser prints an address of its own
        server = viser.ViserServer(host="127.0.0.1", port=0, verbose=False)
    points = np.random.default_rng(0).uniform(-1, 1, (LEAST_DRAWN, 3)).astype(np.float32)
    server.on_client_connect(
        lambda client: client.scene.add_point_cloud(
            "/points", points, (200, 200, 200), point_size=0.02
        )
    )
    try:
        yield f"http://127.0.0.1:{server.get_port()}/"
    finally:
        server.stop()


def _percentiles(name: str, milliseconds: list[float]) -> dict[str, float]:
    return {
        f"{name}_p{share}_ms": round(float(np.percentile(milliseconds, share)), 1)
        for share in (50, 95)
    }


def _click(window, x: float, y: float) -> bool:
    """Click a new object; True when the page has said that it is on disk."""
    before = window.page.evaluate("window.answers.length")
    window.click(x, y)
    window.page.wait_for_function(
        f"window.answers.length > {before} || document.body.innerText.includes('Not done')"
    )
    return window.page.evaluate("window.answers.length") > before


def _drawn(png: bytes) -> list[tuple[int, int]]:
    """Pixels (x, y) that show points of the scene."""
    grey = np.asarray(Image.open(io.BytesIO(png)).convert("L"))[CANVAS]
    rows, columns = np.nonzero(grey > DRAWN)
    return list(zip(columns + CANVAS[1].start, rows + CANVAS[0].start, strict=True))


def _spots(drawn: list[tuple[int, int]]) -> list[tuple[float, float]]:
    """As many of these pixels as there are objects to click, each far from all before it."""
    pixels = np.array(drawn, np.float64)
    chosen = [pixels[0]]
    apart = np.full(len(pixels), np.inf)
    for _ in range(OBJECTS):
        apart = np.minimum(apart, np.linalg.norm(pixels - chosen[-1], axis=1))
        chosen.append(pixels[np.argmax(apart)])
    return [(float(x), float(y)) for x, y in chosen[1:]]


def _million(rooms: Site, path: Path) -> Site:
    """A site of one scene: rooms beside each other, cut off at a million points."""
    parts, colours, right = [], [], 0.0
    while sum(map(len, parts)) < POINTS:
        for scene in rooms.scenes(split="val"):
            cloud = scene.cloud()
            xyz = cloud.xyz - cloud.xyz.min(axis=0) + np.float32([right, 0, 0])
            right = float(xyz[:, 0].max()) + GAP
            parts.append(xyz)
            colours.append(cloud.rgb)
    site = Site.create(path, "page", parse_classes("floor:stuff,thing"), 0.05)
    whole = Cloud(np.concatenate(parts)[:POINTS], np.concatenate(colours)[:POINTS])
    site.add_scene("large", whole, up=(0, 0, 1))
    return site
