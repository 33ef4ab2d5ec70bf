"""Mean IoU against seconds of a person's time."""

from __future__ import annotations

from pathlib import Path


def plot(rows: list[dict], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.2, 4.4), layout="constrained")
    by_side = {row["side"]: row for row in rows}
    for name, ink in (("full", "black"), ("oracle", "0.6"), ("height_colour", "tab:brown")):
        if name in by_side:
            axes.axhline(by_side[name]["miou"], color=ink, linestyle="--", linewidth=1)
            axes.annotate(
                by_side[name]["says"], (1, by_side[name]["miou"]), ha="right", va="bottom",
                xycoords=("axes fraction", "data"), fontsize=8, color=ink,
            )  # fmt: skip
    families = {
        "more clicks an object": ["ours", "clicks_2", "clicks_4", "clicks_8"],
        "fewer scenes": ["scenes_10", "scenes_25", "scenes_50", "ours"],
        "ours: one click an object": ["ours"],
        "U-Net alone on clicked super-voxels": ["clicked"],
    }
    for label, sides in families.items():
        known = [by_side[name] for name in sides if name in by_side]
        if len(known) < min(len(sides), 2):
            continue  # a family of which nothing was run
        minutes = [row["seconds"] / 60 for row in known]
        axes.plot(minutes, [row["miou"] for row in known], "o-", label=label)
    axes.set_xscale("log")
    axes.set_xlabel("minutes of a person's clicking")
    axes.set_ylabel("mean IoU on unseen rooms")
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.legend(loc="upper left", bbox_to_anchor=(0, 0.93), fontsize=8)  # below the limit's line
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
