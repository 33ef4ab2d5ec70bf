"""The real page in headless Chromium: how long it takes to answer, and for twenty objects."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "test" / "annotate"))

from otoc_ros.core.cloud import Cloud
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth

OBJECTS = 20
KEYS = "1234567890"


def measure(room, classes, points: int, seed: int) -> dict:
    """Twenty objects of a room, clicked by real mouse events.

    room: a Scene with truth; points: its cloud is brought to that many by repeating points with
    noise of 5 mm.
    """
    import chromium

    if chromium.BINARY is None:
        return {"missing": "Chromium"}
    from otoc_ros.annotate import desk as desks
    from otoc_ros.annotate.page import Page

    server_ms: list[float] = []
    pages: list[Page] = []
    click, enter = Page.click, Page.open_scene

    def timed(page: Page, *arguments) -> None:
        begin = time.perf_counter()
        click(page, *arguments)
        server_ms.append((time.perf_counter() - begin) * 1e3)

    def noted(page: Page, name: str) -> None:
        pages.append(page)
        enter(page, name)

    Page.click, Page.open_scene = timed, noted
    links: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        site = _site(Path(folder) / "site", room, classes, points, seed)
        serving = threading.Thread(
            target=desks.serve, args=(site, "localhost", 0, links.append), daemon=True
        )
        serving.start()
        with chromium.browser(Path(folder) / "profile") as browser:
            chromium.wait(lambda: links)
            begin = time.perf_counter()
            with browser.tab(links[0]) as tab:
                chromium.wait(lambda: "0 clicks here" in tab.text())
                text_s = time.perf_counter() - begin
                scan = pages[-1].stage.scan
                scan.segments.result()
                chromium.wait(lambda: tab.run("!!document.querySelector('canvas')"))
                time.sleep(3)  # the first frames of a browser without a graphics card
                spots = _spots(pages[-1], site, tab)
                chosen, answer_ms = "", []
                begin = time.perf_counter()
                for number, (x, y, name) in enumerate(spots, 1):
                    if name != chosen:
                        key = KEYS[[known.name for known in classes].index(name)]
                        tab.press(key, f"Digit{key}")
                        chosen = name
                    sent = time.perf_counter()
                    tab.click(x, y)
                    wanted = f"{number} click{'s' * (number != 1)} here"
                    while wanted not in (tab.run(TEXT) or ""):
                        pass
                    answer_ms.append((time.perf_counter() - sent) * 1e3)
                seconds = time.perf_counter() - begin
                assert len(site.scenes()[0].clicks()) == len(spots) and not tab.errors
    return {
        "points": points,
        "objects": len(spots),
        "seconds": round(seconds, 2),
        "seconds_20_objects": round(seconds / len(spots) * OBJECTS, 2),
        "page_p50_ms": round(float(np.percentile(answer_ms, 50)), 1),
        "page_p95_ms": round(float(np.percentile(answer_ms, 95)), 1),
        "server_p50_ms": round(float(np.percentile(server_ms, 50)), 1),
        "server_p95_ms": round(float(np.percentile(server_ms, 95)), 1),
        "page_there_s": round(text_s, 2),
    }


TEXT = "[...document.querySelectorAll('b')].map(part => part.parentElement.innerText).join(' ')"


def _site(path: Path, room, classes, points: int, seed: int) -> Site:
    cloud, truth = room.cloud(), room.truth()
    rng = np.random.default_rng(seed)
    rows = np.resize(rng.permutation(len(cloud)), points)
    noise = rng.normal(0, 0.005, (points, 3)).astype(np.float32)
    noise[: len(cloud)] = 0
    site = Site.create(path, "clicking", classes, 0.05)
    site.add_scene(
        "room",
        Cloud(cloud.xyz[rows] + noise, cloud.rgb[rows]),
        up=room.meta.up,
        truth=Truth(truth.semantic[rows], truth.instance[rows]),
    )
    return site


def _spots(page, site: Site, tab) -> list[tuple[float, float, str]]:
    """Where objects of the first ten classes are seen on the screen, beside the controls."""
    scan, camera = page.stage.scan, page.client.camera
    truth = site.scenes()[0].truth()
    width, height = tab.run("[innerWidth, innerHeight]")
    w, x, y, z = camera.wxyz
    right = np.array([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)])
    down = np.array([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)])
    ahead = np.cross(right, down)
    names = [known.name for known in site.config.classes]
    found = []
    for number in np.unique(truth.instance[truth.instance > 0]):
        rows = np.flatnonzero(truth.instance == number)
        offset = scan.xyz[rows] - camera.position
        depth = offset @ ahead
        scale = height / 2 / np.tan(camera.fov / 2)
        sx = width / 2 + offset @ right / depth * scale
        sy = height / 2 + offset @ down / depth * scale
        order = ((scan.xyz[rows] - scan.xyz[rows].mean(0)) ** 2).sum(1).argsort()
        for at in order[: len(rows) // 2 : max(1, len(rows) // 40)]:
            if not (340 < sx[at] < width - 340 and 10 < sy[at] < height - 10):
                continue
            hit = scan.picker.result().pick(camera.position, offset[at], page.stage.box)
            if hit is not None and truth.instance[hit] == number:
                name = names[truth.semantic[hit]]
                if names.index(name) < len(KEYS):
                    found.append((float(sx[at]), float(sy[at]), name))
                    break
    while 0 < len(found) < OBJECTS:  # a small room: again, so that there are twenty
        found += found[: OBJECTS - len(found)]
    return found[:OBJECTS]
