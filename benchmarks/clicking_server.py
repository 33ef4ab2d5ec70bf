"""How soon the page's program answers a click at a million points, without a browser that draws."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from clicking_work import Work

from otoc_ros.annotate.scan import Scan
from otoc_ros.site.site import Site

CLICKS = 100
BELOW = 0.3  # metres under the ceiling: what lies higher is clipped
ABOVE = 30.0  # metres; from there the clicks look down
PAUSE = 0.3  # seconds between an answer and the next click; a person is slower


def answers(site: Site, seed: int) -> tuple[list[float], float]:
    """Milliseconds of each click of a new object, at random places of the site's one scene.

    From when the click is sent until the window has been sent what lights up and, after that, the
    count of clicks: picking among all points, writing to disk with fsync, growing, and the wire.
    Then the CPU milliseconds of the program for a click.
    """
    from label_process import page as serving
    from raw_window import RawWindow

    (scene,) = site.scenes()
    with ThreadPoolExecutor(1) as background:
        xyz = Scan.load(scene, site.config.voxel_size, background).xyz
    rng = np.random.default_rng(seed)
    rows = rng.permutation(np.flatnonzero(xyz[:, 2] < xyz[:, 2].max() - BELOW))[: CLICKS + 1]
    took = []
    with serving(site) as link:
        window = RawWindow(link)
        window.hear(0)
        for number, row in enumerate(rows.tolist()):
            x, y, _ = xyz[row].tolist()
            apart = (number * 0.37 % 1, number * 0.61 % 1)  # never the halves of a double click
            begin = time.perf_counter()
            window.click((x, y, ABOVE), (0.0, 0.0, -1.0), apart)
            window.hear(number + 1)
            took.append(1000 * (time.perf_counter() - begin))
            if number == 0:
                window.see_light()  # the super-voxels are known from now on
                work = Work("label")
            time.sleep(PAUSE)
        worked = 1000 * work.done() / CLICKS
        assert window.lights >= CLICKS, "every click lights something up"
        window.cut()
    return took[1:], worked
