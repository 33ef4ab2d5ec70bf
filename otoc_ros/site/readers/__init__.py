"""Readers of point clouds, one file a format."""

from __future__ import annotations

from pathlib import Path

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.readers.guard import require_file
from otoc_ros.site.truth import Truth

SUFFIXES = (".ply", ".pcd", ".npz", ".las", ".laz", ".e57")


def read_cloud(path: Path) -> Cloud:
    """The cloud in a file of one of `SUFFIXES`; InputError where it cannot be read."""
    return read_cloud_and_truth(path)[0]


def read_cloud_and_truth(path: Path) -> tuple[Cloud, Truth | None]:
    """The cloud in a file, and the ground truth that only an NPZ file can hold.

    Raises:
        InputError: another suffix, or a file that is missing, empty, damaged or cut short.
    """
    # Each library is imported when a file of its format is read: a robot may lack the others.
    require_file(path)
    suffix = path.suffix.lower()
    if suffix == ".ply":
        from otoc_ros.site.readers.ply import read_ply

        return read_ply(path), None
    if suffix == ".pcd":
        from otoc_ros.site.readers.pcd import read_pcd

        return read_pcd(path), None
    if suffix == ".npz":
        from otoc_ros.site.readers.npz import read_npz

        return read_npz(path)
    if suffix in (".las", ".laz"):
        from otoc_ros.site.readers.survey import read_las

        return read_las(path), None
    if suffix == ".e57":
        from otoc_ros.site.readers.survey import read_e57

        return read_e57(path), None
    raise InputError(f"{path} is not a point cloud that can be read; give {', '.join(SUFFIXES)}")
