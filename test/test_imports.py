"""Imports point one way, and what the robot runs does without what the trainer needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Which parts each part may import, anywhere, also inside functions.
ARROWS = {
    "otoc_ros.core": set(),
    "otoc_ros.site": {"otoc_ros.core"},
    "otoc_ros.perception": {"otoc_ros.core", "otoc_ros.site"},
    "otoc_ros.nodes": {"otoc_ros.core", "otoc_ros.site", "otoc_ros.perception"},
    "otoc_ros.annotate": {"otoc_ros.core", "otoc_ros.site", "otoc_ros.perception"},
    "offline_training": {"otoc_ros.core", "otoc_ros.site", "otoc_ros.perception"},
    "otoc_ros.cli": {
        "otoc_ros.core",
        "otoc_ros.site",
        "otoc_ros.perception",
        "otoc_ros.annotate",
        "offline_training",
    },
}

# What each part must be importable without.
BLOCKED = {
    "otoc_ros.core": ["torch", "rclpy", "onnxruntime"],
    "otoc_ros.site": ["torch", "rclpy", "onnxruntime"],
    "otoc_ros.perception": ["torch", "rclpy"],
    "otoc_ros.annotate": ["torch", "rclpy"],
    "otoc_ros.cli": ["torch", "rclpy"],
    "offline_training": ["rclpy"],
    "otoc_ros.nodes": ["torch", "tf2_ros", "vision_msgs"],
}

IMPORT_ALL = """
import importlib, pkgutil, sys
package, *blocked = sys.argv[1:]
for name in blocked:
    sys.modules[name] = None  # any import of it fails, as where it is not installed
found = importlib.import_module(package)
for module in pkgutil.walk_packages(found.__path__, package + "."):
    if module.module_finder.find_spec(module.name).origin.endswith(".py"):  # no built libraries
        importlib.import_module(module.name)
"""

PARTS = sorted(part for part in ARROWS if (ROOT / part.replace(".", "/")).is_dir())


@pytest.mark.parametrize("part", PARTS)
def test_imports_point_one_way(part: str) -> None:
    wrong = []
    for file in sorted((ROOT / part.replace(".", "/")).rglob("*.py")):
        for imported, line in _imports(file):
            target = next((p for p in ARROWS if (imported + ".").startswith(p + ".")), None)
            if target not in (None, part) and target not in ARROWS[part]:
                wrong.append(f"{file.relative_to(ROOT)}:{line} imports {imported}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("part", PARTS)
def test_parts_import_without_what_may_be_missing(part: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, part, *BLOCKED[part]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def _imports(file: Path) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [(name.name, node.lineno) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}:{node.lineno}: write the import from its root"
            found += [(f"{node.module}.{name.name}", node.lineno) for name in node.names]
    return found
