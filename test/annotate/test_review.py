"""What training has made of the clicks, round by round."""

from types import SimpleNamespace

import numpy as np
import pytest

from otoc_ros.annotate.record import SiteRecord
from otoc_ros.annotate.review import Review
from otoc_ros.core.errors import InputError
from otoc_ros.site.site import Site


def write_round(site: Site, number: str, label: list[int], provenance: list[int]) -> None:
    """A complete round as training leaves it."""
    folder = site.path / "rounds" / number
    folder.mkdir(parents=True)
    np.savez(
        folder / "labels.npz",
        **{
            "a/label": np.array(label, np.int32),
            "a/provenance": np.array(provenance, np.int8),
            "a/confidence": np.array([0.9, 0.6, 0.8], np.float32),
        },
    )
    (folder / "metrics.json").write_text("{}")


def test_pseudo_labels_before_and_after_a_round(site: Site) -> None:
    write_round(site, "00", [1, 0, -1], [1, 2, 0])  # by a person, by the machine, by nobody
    review, segments = Review(SiteRecord(site)), SimpleNamespace(count=3)
    assert review.pseudo("a", segments)[0].tolist() == [-1, 0, -1]
    write_round(site, "01", [1, 2, 2], [1, 2, 2])
    assert review.pseudo("a", segments)[0].tolist() == [-1, 2, 2]
    assert review.pseudo("a", segments, "00")[0].tolist() == [-1, 0, -1]
    assert review.doubtful("a", segments, "00").tolist() == [1]
    assert review.doubtful("a", segments).tolist() == [1, 2]
    assert review.pseudo("a", segments, "02") is None
    assert review.pseudo("a", SimpleNamespace(count=4)) is None
    with pytest.raises(InputError, match="no pseudo labels"):
        review.doubtful("a", segments, "02")
