"""One tree, two installers: colcon (ament_python) on the robot, pip everywhere."""

from pathlib import Path

from setuptools import Extension, find_packages, setup

SHARE = "share/otoc_ros"


def files(folder: str) -> list[str]:
    return sorted(str(path) for path in Path(folder).glob("*") if path.is_file())


setup(
    name="otoc_ros",
    version="0.1.0",
    description="One click per object in, live class and object labels of point clouds out.",
    license="Apache-2.0",
    maintainer="otoc_ros maintainers",
    maintainer_email="maintainers@users.noreply.github.com",
    python_requires=">=3.10,<3.14",
    packages=find_packages(
        include=["otoc_ros", "otoc_ros.*", "offline_training", "offline_training.*"]
    ),
    package_data={
        f"offline_training.{part}": ["model.safetensors"] for part in ("borders", "reach")
    },
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/otoc_ros"]),
        (SHARE, ["package.xml"]),
        (f"{SHARE}/launch", files("launch")),
        (f"{SHARE}/config", files("config")),
        (f"{SHARE}/bundle", files("bundle")),
    ],
    ext_modules=[
        Extension(
            "otoc_ros.core._sparse_conv",  # a plain C library, found as if it were a module
            sources=["native/sparse_conv.cpp"],
            depends=["native/kernel.h", "native/pool.h"],
            extra_compile_args=["-std=c++17", "-O3", "-ffp-contract=fast"],
            extra_link_args=["-pthread"],
            language="c++",
            optional=True,  # without a compiler PyTorch does its work, slower
        )
    ],
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "otoc = otoc_ros.cli:main",
            "perception_node = otoc_ros.nodes.perception_node:main",
            "play_clouds = otoc_ros.nodes.play_clouds:main",
        ]
    },
    install_requires=[
        "numpy>=1.26,<3",
        "scipy>=1.11",
        "numba>=0.59",
        "pydantic>=2.5",
        "PyYAML>=5.4",
        "plyfile>=1.0",
        "pypcd4>=1.1",
        "rosbags>=0.10",
        "typer>=0.12",
        "rich>=13",
    ],
    extras_require={
        # Choose cpu or cuda, never both: the two onnxruntime wheels overwrite each other.
        "cpu": ["onnxruntime>=1.17"],
        "cuda": [
            "onnxruntime-gpu>=1.17",
            "spconv-cu120; python_version < '3.12' and platform_machine == 'x86_64'",
            "spconv-cu126; python_version >= '3.12' and platform_machine == 'x86_64'",
        ],
        "train": [
            "torch>=2.4",
            "safetensors>=0.4",
            "onnx>=1.16",
            "trimesh>=4",
            "embreex",
            "pillow>=10.1",
            "matplotlib>=3.7",
            "scikit-learn>=1.3",
        ],
        "label": ["viser>=1.1"],
        # Odometry, pictures, LAS, LAZ and E57 of `otoc import`.
        "import": [
            "laspy[lazrs]>=2.5",
            "pillow>=10.1",
            "pye57>=0.4; platform_machine == 'x86_64'",
            "small_gicp>=1.0",
        ],
        # ROS 2 Jazzy from unofficial wheels, where no ROS 2 is installed.
        "ros-dev": [
            "ros-jazzy-ament-index-python",
            "ros-jazzy-diagnostic-msgs",
            "ros-jazzy-geometry-msgs",
            "ros-jazzy-lifecycle-msgs",
            "ros-jazzy-rcl-interfaces",
            "ros-jazzy-rclpy",
            "ros-jazzy-rmw-fastrtps-cpp",
            "ros-jazzy-sensor-msgs",
            "ros-jazzy-std-msgs",
            "ros-jazzy-std-srvs",
            "ros-jazzy-visualization-msgs",
        ],
        "test": [
            "pytest>=8",
            "hypothesis>=6.90",
            "playwright>=1.45",
            "openvino>=2024; platform_machine == 'x86_64'",
            "ruff>=0.6",
            "mypy>=1.10",
            "types-PyYAML",
            "colcon-ros>=0.5",
            "colcon-bash>=0.5",
            "setuptools<80",
            "wheel",
        ],
        # Baselines of the benchmarks only; needs system libraries (docs/dependencies.md).
        "bench": [
            "open3d-cpu>=0.19; platform_machine == 'x86_64'",
            "open3d; platform_machine != 'x86_64'",
        ],
    },
)
