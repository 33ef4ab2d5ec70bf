"""A bundle is opened only if every byte is the one that was exported."""

import shutil
from pathlib import Path

import pytest

from otoc_ros.core.errors import InputError
from otoc_ros.site.bundle import Bundle, BundleInfo, onnx_metadata, open_bundle, write_bundle
from otoc_ros.site.classes import parse_classes

FILES = {"unet.onnx": bytes(range(256)) * 20, "relation.onnx": b"relation" * 100}


def info(**changes: object) -> BundleInfo:
    values = {
        "name": "kitchen",
        "classes": parse_classes("wall:stuff,chair"),
        "preprocessing": {"voxel_size": 0.05, "features": ["one", "red"]},
        "levels": 5,
        "opset": 17,
        "propagation": {"neighbours": 8},
        "clustering": {"radius": 0.03},
        **changes,
    }
    return BundleInfo.model_validate(values)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "bundle", info(), FILES)


def test_bundle_comes_back(bundle: Bundle) -> None:
    opened = open_bundle(bundle.path)
    assert opened.info == bundle.info
    assert set(opened.info.files) == set(FILES)
    assert {name: opened.read(name) for name in FILES} == FILES
    with pytest.raises(InputError, match=r"has no propagator\.onnx \(it has: unet"):
        opened.read("propagator.onnx")


def test_export_again_replaces_it(bundle: Bundle) -> None:
    write_bundle(bundle.path, info(levels=7), {"unet.onnx": b"new"})
    assert open_bundle(bundle.path).info.levels == 7
    assert sorted(path.name for path in bundle.path.iterdir()) == ["bundle.yaml", "unet.onnx"]
    assert list(bundle.path.parent.iterdir()) == [bundle.path]


def test_export_over_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(InputError, match="is not a bundle"):
        write_bundle(tmp_path, info(), FILES)
    with pytest.raises(InputError, match="is not a bundle"):
        write_bundle(tmp_path / "letter", info(), FILES)
    assert (tmp_path / "letter").read_text() == "dear"


def _cut(path: Path) -> None:
    (path / "unet.onnx").write_bytes(FILES["unet.onnx"][:100])


def _flip(path: Path) -> None:
    data = bytearray(FILES["unet.onnx"])
    data[1000] ^= 1
    (path / "unet.onnx").write_bytes(data)


def _swap(path: Path) -> None:
    shutil.copy(path / "relation.onnx", path / "unet.onnx")


def _remove(path: Path) -> None:
    (path / "unet.onnx").unlink()


def _edit(old: str, new: str):
    def change(path: Path) -> None:
        text = (path / "bundle.yaml").read_text()
        assert old in text
        (path / "bundle.yaml").write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize(
    "damage, message",
    [
        (_cut, r"unet\.onnx \(100 bytes\) is not the file that was exported"),
        (_flip, r"unet\.onnx \(5120 bytes\) is not the file"),
        (_swap, r"unet\.onnx \(800 bytes\) is not the file"),
        (_remove, r"cannot read .*unet\.onnx: No such file.*copy the whole bundle"),
        (_edit("format: 1", "format: 2"), r"bundle\.yaml is of format 2, from a newer otoc_ros"),
        (_edit("opset: 17", "opset: 99"), r"opset 99 cannot be run, only 13 to 20"),
        (_edit("levels: 5", "levels: five"), r"bundle\.yaml: levels: .*\(it is 'five'\)"),
        (_edit("unet.onnx", "../unet.onnx"), r"bundle\.yaml: files\.\.\./unet\.onnx"),
        (_edit("kind: stuff", "kind: matter"), r"bundle\.yaml: classes\.0\.kind"),
        (lambda path: (path / "bundle.yaml").unlink(), r"it has no bundle\.yaml"),
        (lambda path: (path / "bundle.yaml").write_bytes(b""), r"empty or damaged"),
    ],
)
def test_damaged_bundle(bundle: Bundle, damage, message: str) -> None:
    damage(bundle.path)
    with pytest.raises(InputError, match=message) as caught:
        open_bundle(bundle.path)
    assert "\n" not in str(caught.value)


def test_file_changed_after_opening_is_not_handed_out(bundle: Bundle) -> None:
    opened = open_bundle(bundle.path)
    _flip(bundle.path)
    with pytest.raises(InputError, match="not the file"):
        opened.read("unet.onnx")


def test_file_of_a_bundle_with_other_classes_is_told_apart(bundle: Bundle) -> None:
    bundle.check_metadata("unet.onnx", {**onnx_metadata(info()), "producer": "someone"})
    other = onnx_metadata(info(classes=parse_classes("wall:stuff,sofa")))
    with pytest.raises(InputError, match=r"unet\.onnx was made for another classes than bundle"):
        bundle.check_metadata("unet.onnx", other)
    with pytest.raises(InputError, match="was made for another format"):
        bundle.check_metadata("unet.onnx", {})
