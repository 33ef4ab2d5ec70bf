"""Builds what the rivals need, once, in a cache folder outside the repository."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def vccs(cache: Path) -> Path | None:
    """The VCCS driver; None where libpcl-dev or a compiler is missing."""
    source = HERE / "vccs.cpp"
    program = cache / f"vccs-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"
    if program.exists():
        return program
    headers = sorted(Path("/usr/include").glob("pcl-*"))
    if not headers or shutil.which("g++") is None:
        print("no VCCS: apt-get install g++ libpcl-dev", file=sys.stderr)
        return None
    libraries = [
        f"-lpcl_{name}" for name in ("segmentation", "search", "octree", "kdtree", "common")
    ]
    includes = [f"-I{headers[-1]}", "-I/usr/include/eigen3"]
    subprocess.run(
        ["g++", "-O3", "-std=c++17", *includes, str(source), "-o", str(program), *libraries],
        check=True,
    )
    return program


def cut_pursuit(cache: Path) -> Path | None:
    """A Python that has pycut-pursuit and pgeof; None where they cannot be installed."""
    python = cache / "cut_pursuit" / "bin" / "python"
    ready = cache / "cut_pursuit" / "ready"
    if ready.exists():
        return python
    try:
        subprocess.run([sys.executable, "-m", "venv", str(cache / "cut_pursuit")], check=True)
        packages = ["numpy<2", "pycut-pursuit", "pgeof"]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)
    except subprocess.CalledProcessError as failure:
        print(f"no cut-pursuit: {failure}", file=sys.stderr)
        return None
    ready.touch()
    return python
