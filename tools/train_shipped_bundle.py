"""Make the bundle that ships with the package, in `bundle/`, from simulated rooms.

    python tools/train_shipped_bundle.py SCRATCH_FOLDER

The site in the scratch folder is kept, so that the script can be run again after an interruption.
"""

import sys
from pathlib import Path

import torch

from offline_training.bundle import export_bundle
from offline_training.rooms import make_rooms
from offline_training.rounds import is_trained
from offline_training.self_training import train_site
from offline_training.settings import preset
from offline_training.site_evaluation import evaluate_bundle
from otoc_ros.cli.console import bar, out

ROOMS = 120
VOXEL_SIZE = 0.08  # metres
# Two levels less than `small`: under 5 MB with weights of 8 bits. The truth of simulated rooms
# costs nobody a click.
SETTINGS = preset("small").model_copy(
    update={"levels": 5, "rounds": 2, "steps": 2400, "labels": "full"}
)


def main(scratch: Path) -> None:
    """Make rooms, train, export and score; prints the scores on rooms never seen."""
    with bar() as progress:
        site = make_rooms(scratch / "site", ROOMS, voxel_size=VOXEL_SIZE)
        begun = (site.path / "rounds" / "training.json").exists()
        if not is_trained(site, SETTINGS):
            train_site(site, SETTINGS, torch.device("cpu"), progress, resume=begun)
        folder = Path(__file__).resolve().parents[1] / "bundle"
        bundle = export_bundle(site, folder, storage="int8")
        scores = evaluate_bundle(folder, site, site.scenes(split="val"), progress)
    size = sum(path.stat().st_size for path in bundle.path.iterdir())
    out.print(f"{folder}: {size / 1e6:.2f} MB, mIoU {scores['miou']}, AP50 {scores['ap50']}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
