"""What a demo found, as a page and as numbers."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from offline_training.demo.gallery import Gallery
from offline_training.demo.page import Bar, cards, figures, legend, page, table
from otoc_ros.site.classes import ClassInfo

LIVE_STAGES = {
    "wait": "wait for the last cloud",
    "convert": "decode the message",
    "align": "find up, align",
    "voxels": "voxelise, normals",
    "supervoxels": "super-voxels",
    "maps": "kernel maps",
    "unet": "U-Net",
    "relation": "relation net",
    "graph": "graph of super-voxels",
    "propagation": "propagation",
    "instances": "objects",
    "labels": "back to the points",
    "publish": "encode and publish",
    "total": "received to published",
}


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = names[0].partition(":")[2].strip() if names else name
    return {
        "processor": name,
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }


def write_report(facts: dict[str, Any], gallery: Gallery, classes: Sequence[ClassInfo]) -> str:
    """The page: HTML that needs nothing but itself."""
    live, scores = facts["live"], facts["scores"]
    total = live["stages"]["total"]
    parts = [
        f'<p class="eyebrow">otoc_ros demo: {escape(facts["title"].lower())}</p>',
        "<h1>One click per object in, live labels out</h1>",
        f'<p class="lead">{facts["clicks"]} clicks in {_scans(facts["train"])}, '
        f"{facts['minutes']:.1f} minutes of a person's time, taught these networks; the live node "
        f"then labelled {live['labelled']} of {live['sent']} clouds of a depth camera, "
        f"{total['median']:.0f} ms each.</p>",
        f'<p class="note">{escape(facts["origin"])}</p>',
        cards(
            [
                (str(facts["clicks"]), f"simulated clicks in {_scans(facts['train'])}"),
                (f"{facts['minutes']:.1f} min", "of a person's time: the clicks' own seconds"),
                (_percent(scores["miou"]), f"mIoU on {_scans(scores['scenes'])} never seen"),
                (_percent(scores["ap50"]), "AP50 of objects on the same scans"),
                (f"{total['median']:.0f} ms", f"a live cloud, median; p95 {total['p95']:.0f} ms"),
                (_duration(facts["seconds"]), "minutes for everything on this page"),
            ]
        ),
        "<h2>From clicks to labels</h2>",
        f'<p class="soft">{escape(facts["shown"][0])}, one of {_scans(facts["train"])} with '
        "clicks. A click labels its super-voxel; training and propagation spread it.</p>",
        figures(gallery.learnt),
        legend((known.name, known.color) for known in classes),
        "<h2>A scan never seen</h2>",
        f'<p class="soft">{escape(facts["shown"][1])}, labelled by the exported bundle, beside '
        "its ground truth.</p>",
        figures(gallery.unseen),
        "<h2>Live</h2>",
        f'<p class="soft">{_live_line(live)}</p>',
        figures(gallery.live),
        "<h2>Numbers</h2>",
        '<div class="tables">',
        _scores_table(scores),
        _latency_table(live),
        _rounds_table(facts),
        _time_table(facts),
        "</div>",
        _footer(facts),
    ]
    return page(f"otoc_ros: {facts['title']}", parts)


def _live_line(live: dict[str, Any]) -> str:
    scored = ""
    if live["miou"] is not None:
        scored = (
            f" On these single views the live labels reach {_percent(live['miou'])} mIoU and "
            f"{_percent(live['ap50'])} AP50."
        )
    return (
        f"perception_node, its own process, received {live['received']} of the {live['sent']} "
        f"clouds that play_clouds published at {live['rate']} Hz over DDS; "
        f"it dropped {live['dropped']} and rejected {live['rejected']}. A third process received "
        f"{live['labelled']} labelled clouds ({live['points']:,} points) and {live['markers']} "
        f"marker arrays with {live['boxes']} boxes.{scored}"
    )


def _scores_table(scores: dict[str, Any]) -> str:
    rows: list[list[str]] = [
        [name, _bar(each["iou"]), _bar(each["ap50"])]
        for name, each in scores["classes"].items()
        if each["iou"] is not None
    ]
    rows.append(["mean", _percent(scores["miou"]), _percent(scores["ap50"])])
    return table(
        f"Accuracy on {_scans(scores['scenes'])} never seen",
        ("class", "IoU", "AP50"),
        rows,
        total=True,
    )


def _latency_table(live: dict[str, Any]) -> str:
    stages = live["stages"]
    named = [name for name in LIVE_STAGES if name in stages]
    longest = max(stages[name]["median"] for name in named if name != "total")
    rows: list[list[str]] = [
        [
            LIVE_STAGES[name],
            Bar(f"{stages[name]['median']:.1f}", stages[name]["median"] / longest)
            if name != "total"
            else f"{stages[name]['median']:.1f}",
            f"{stages[name]['p95']:.1f}",
        ]
        for name in named
    ]
    return table(
        "Live latency, milliseconds (from /diagnostics, second by second)",
        ("stage", "median", "p95"),
        rows,
        total=True,
    )


def _rounds_table(facts: dict[str, Any]) -> str:
    rows = [
        [
            str(each["round"] + 1),
            f"{each['losses'].get('total', float('nan')):.2f}",
            f"{each['clicked_supervoxels']:,}",
            f"{each['pseudo_labels']:,}",
            f"{each['seconds']:.0f} s",
        ]
        for each in facts["rounds"]
    ]
    of_all = f"Rounds of training; {facts['rounds'][-1]['supervoxels']:,} super-voxels"
    return table(of_all, ("round", "loss", "clicked", "pseudo labels", "time"), rows)


def _time_table(facts: dict[str, Any]) -> str:
    rows: list[list[str]] = [
        [each["name"], Bar(f"{each['seconds']:.1f} s", each["seconds"] / facts["seconds"])]
        for each in facts["stages"]
    ]
    rows.append(["together", f"{facts['seconds']:.1f} s"])
    return table("Where the time went", ("stage", "time"), rows, total=True)


def _footer(facts: dict[str, Any]) -> str:
    about = facts["machine"]
    bundle = facts["bundle"]
    measured = (
        f"{about['processor']}, {about['cores']} cores, load {about['load']} at the start, "
        f"{about['system']}, Python {about['python']}; seed {facts['seed']}"
    )
    return (
        f"<footer><p>Bundle of {bundle['megabytes']:.1f} MB, U-Net "
        f"{bundle['files']['unet.onnx'][:12]}. Measured on {escape(measured)}. Run it yourself:"
        f"</p><pre>{escape(facts['command'])}</pre></footer>"
    )


def _scans(count: int) -> str:
    return f"{count} scan{'s' * (count != 1)}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _bar(value: float | None) -> str:
    return "" if value is None else Bar(_percent(value), value)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
