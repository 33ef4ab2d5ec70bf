"""The exported model: a folder of ONNX files and bundle.yaml, which says what they are.

A robot needs the bundle and nothing else. Every file is listed with its SHA-256, and the bytes that
are handed out are the bytes that were checked. The ONNX files repeat in their own metadata what
they were made for, so that a file of another bundle is told apart even where its hash was "fixed".
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from otoc_ros.core.errors import InputError
from otoc_ros.site.classes import MAX_CLASSES, ClassInfo
from otoc_ros.site.documents import Document, read_document, write_document
from otoc_ros.site.files import atomic_folder, atomic_write

FORMAT = 1
INFO_FILE = "bundle.yaml"
LARGEST_FILE = 512 * 2**20  # bytes; the widest preset's U-Net takes 120 MB
OPSETS = range(13, 21)  # operator sets that every supported onnxruntime (1.17 and up) runs

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

_IN_METADATA = (
    "format",
    "name",
    "classes",
    "preprocessing",
    "propagation",
    "clustering",
    "confidence",
    "levels",
    "opset",
)


class BundleInfo(Document):
    """bundle.yaml.

    Attributes:
        format: version of the bundle's layout.
        name: for people, usually the site's.
        classes: the class table of the site at export.
        preprocessing: fields of the preprocessing that the networks were trained with.
        propagation: fields of the graph between super-voxels.
        clustering: fields of what makes a cluster an object.
        confidence: fields of what makes a belief a confidence; none in bundles of before that.
        levels: resolutions of the U-Net.
        opset: ONNX operator set of every file.
        files: SHA-256 of every file by its name; `write_bundle` fills it in.
    """

    format: int = Field(default=FORMAT, ge=1)
    name: str = Field(min_length=1)
    classes: tuple[ClassInfo, ...] = Field(min_length=1, max_length=MAX_CLASSES)
    preprocessing: dict[str, Any]
    propagation: dict[str, Any] = Field(default_factory=dict)
    clustering: dict[str, Any] = Field(default_factory=dict)
    confidence: dict[str, Any] = Field(default_factory=dict)
    levels: int = Field(ge=1, le=16)
    opset: int
    files: dict[FileName, Sha256] = Field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files were all found and checked."""

    path: Path
    info: BundleInfo

    def read(self, name: str) -> bytes:
        """The checked bytes of one file.

        Raises:
            InputError: the bundle has no such file, or the file is not the one that was exported.
        """
        if name not in self.info.files:
            listed = ", ".join(self.info.files) or "none"
            raise InputError(
                f"bundle {self.path} has no {name} (it has: {listed}); export it again"
            )
        path = self.path / name
        try:
            size = path.stat().st_size
            if size > LARGEST_FILE:
                raise InputError(f"{path} has {size} bytes; at most {LARGEST_FILE} are loaded")
            data = path.read_bytes()
        except OSError as error:
            raise InputError(
                f"cannot read {path}: {error.strerror}; copy the whole bundle again"
            ) from error
        if hashlib.sha256(data).hexdigest() != self.info.files[name]:
            raise InputError(
                f"{path} ({size} bytes) is not the file that was exported: its SHA-256 is not that "
                f"in {INFO_FILE}; it is cut short or swapped: copy or export the bundle again"
            )
        return data

    def check_metadata(self, name: str, metadata: Mapping[str, str]) -> None:
        """Compare what an ONNX file says about itself with bundle.yaml.

        Args:
            name: the file. metadata: its custom metadata, as the runtime returns it.

        Raises:
            InputError: a class table, preprocessing, opset … that differs, or no metadata.
        """
        for key, expected in onnx_metadata(self.info).items():
            if metadata.get(key) != expected:
                raise InputError(
                    f"{self.path / name} was made for another {key.removeprefix('otoc_')} than "
                    f"{INFO_FILE} states; export the bundle again"
                )


def onnx_metadata(info: BundleInfo) -> dict[str, str]:
    """What every ONNX file of a bundle carries in its metadata, JSON by key."""
    values = info.model_dump(mode="json")
    if not info.confidence:  # so that the ONNX files of older bundles are still theirs
        del values["confidence"]
    return {
        f"otoc_{key}": json.dumps(values[key], sort_keys=True)
        for key in _IN_METADATA
        if key in values
    }


def write_bundle(folder: Path, info: BundleInfo, files: Mapping[str, bytes]) -> Bundle:
    """Write a bundle as a whole; a former bundle of that name is replaced.

    Args:
        info: what the files are; its `files` is filled in here.
        files: bytes by file name.

    Raises:
        InputError: the folder holds something else than a bundle, or the disk is full or not
            writable.
    """
    empty = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not empty and not (folder / INFO_FILE).exists():
        raise InputError(f"{folder} exists and is not a bundle; export into another folder")
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    complete = BundleInfo.model_validate(info.model_copy(update={"files": hashes}).model_dump())
    with atomic_folder(folder, replace=True) as aside:
        for name, data in files.items():
            atomic_write(aside / name, data)
        write_document(aside / INFO_FILE, complete)
    return Bundle(folder, complete)


def open_bundle(folder: Path) -> Bundle:
    """Open a bundle and check every file of it.

    Raises:
        InputError: no bundle, a newer format, an opset that no supported runtime knows, or a file
            that is missing, too large, cut short or swapped.
    """
    path = folder / INFO_FILE
    if not path.exists():
        raise InputError(
            f"{folder} is not a bundle: it has no {INFO_FILE}; make one with `otoc export`"
        )
    info = read_document(path, BundleInfo, newest_format=FORMAT)
    if info.opset not in OPSETS:
        raise InputError(
            f"{path}: opset {info.opset} cannot be run, only {OPSETS[0]} to {OPSETS[-1]}; "
            "export the bundle again"
        )
    if not info.files:
        raise InputError(f"{path} lists no files; export the bundle again")
    bundle = Bundle(folder, info)
    for name in info.files:
        bundle.read(name)
    return bundle


def shipped_bundle() -> Path:
    """The bundle in the package's share folder: of a colcon, a pip or an editable installation.

    Raises:
        InputError: the installation has none.
    """
    places = [Path(sys.prefix) / "share" / "otoc_ros", Path(__file__).parents[2]]
    with suppress(ImportError, LookupError, OSError):  # no ROS, none sourced, or no colcon
        from ament_index_python.packages import get_package_share_directory

        places.insert(0, Path(get_package_share_directory("otoc_ros")))
    for place in places:
        if (place / "bundle" / INFO_FILE).exists():
            return place / "bundle"
    raise InputError("no bundle is shipped with this installation; set the parameter bundle")
