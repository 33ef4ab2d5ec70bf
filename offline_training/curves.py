"""The picture of a training: its losses and its labels, round by round."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.site.files import atomic_write

STRETCHES = 50  # points of a curve in a round
LOSSES = ("total", "semantic", "contrast", "guidance", "offset", "propagation")


def thinned(losses: NDArray[np.float64], names: Sequence[str]) -> dict[str, list[float]]:
    """Means of each loss over up to STRETCHES equal stretches of a round.

    Args:
        losses: float [steps, len(names)].
    """
    parts = np.array_split(losses, min(STRETCHES, max(len(losses), 1)))
    means = np.array([part.mean(axis=0) for part in parts if len(part)]).reshape(-1, len(names))
    return {name: np.round(column, 4).tolist() for name, column in zip(names, means.T, strict=True)}


def draw_curves(path: Path, rounds: Sequence[Mapping[str, Any]]) -> None:
    """Write a PNG with the losses of all rounds so far, and the labels that each round left.

    Args:
        rounds: metrics of each round, the first one first.

    Raises:
        InputError: the disk is full or not writable.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    for name in LOSSES:
        x, y = [], []
        for number, metrics in enumerate(rounds):
            curve = metrics.get("curve", {}).get(name, [])
            x += [number + (place + 0.5) / len(curve) for place in range(len(curve))]
            y += curve
        if np.any(y):
            upper.plot(x, y, label=name, linewidth=2 if name == "total" else 1)
    upper.set_ylabel("loss")
    upper.set_yscale("log")
    upper.yaxis.set_major_formatter("{x:g}")
    upper.yaxis.set_minor_formatter("{x:.1g}")
    upper.legend(fontsize=8, ncols=3)
    ends = np.arange(1, len(rounds) + 1)
    clicked = np.array([metrics["clicked_supervoxels"] for metrics in rounds])
    pseudo = np.array([metrics["pseudo_labels"] for metrics in rounds])
    every = np.array([max(metrics["supervoxels"], 1) for metrics in rounds])
    lower.bar(ends, clicked / every, 0.3, color="black", label="clicked")
    lower.bar(ends, pseudo / every, 0.3, clicked / every, color="tab:cyan", label="pseudo labels")
    lower.set_ylim(0, 1)
    lower.set_ylabel("share labelled")
    lower.set_xlabel("rounds")
    lower.set_xlim(0, len(rounds) + 0.3)
    lower.set_xticks(np.arange(len(rounds) + 1))
    lower.legend(fontsize=8, loc="upper left")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    atomic_write(path, buffer.getvalue())
