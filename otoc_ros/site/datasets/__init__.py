"""Folders of public data sets in their published layouts, one file a layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from otoc_ros.site.datasets.labelled import LabelledScan
from otoc_ros.site.datasets.s3dis import is_s3dis, read_s3dis
from otoc_ros.site.datasets.scannet import is_scannet, read_scannet
from otoc_ros.site.datasets.semantic_kitti import is_semantic_kitti, read_semantic_kitti

_LAYOUTS: tuple[
    tuple[Callable[[Path], bool], Callable[[Path], Iterator[LabelledScan]]],
    ...,
] = (
    (is_scannet, read_scannet),
    (is_s3dis, read_s3dis),
    (is_semantic_kitti, read_semantic_kitti),
)


def labelled_scans(folder: Path) -> Iterator[LabelledScan] | None:
    """The scans of a folder of ScanNet, S3DIS or SemanticKITTI; None for any other folder."""
    for known, read in _LAYOUTS:
        if known(folder):
            return read(folder)
    return None
