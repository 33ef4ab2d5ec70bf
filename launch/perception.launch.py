"""The live node, and on demand RViz and a player of recordings. Every argument has a default.

ros2 launch otoc_ros perception.launch.py
ros2 launch otoc_ros perception.launch.py bundle:=/data/bundle points:=/camera/depth/points
ros2 launch otoc_ros perception.launch.py bag:=/data/drive rviz:=true
ros2 launch otoc_ros perception.launch.py namespace:=robot1 points:=/robot1/camera/points
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

CONFIG = Path(get_package_share_directory("otoc_ros")) / "config"

# name, default, description; an empty default leaves the matter to the parameter file
ARGUMENTS = (
    (
        "bundle",
        "",
        "Folder of the exported bundle; empty: as in params_file, there the shipped one",
    ),
    ("points", "points", "Topic of the clouds to label (sensor_msgs/PointCloud2)"),
    ("params_file", str(CONFIG / "perception.param.yaml"), "Parameters of perception_node"),
    ("target_frame", "", "Frame with z up to look up in TF; empty: as in params_file"),
    ("reliability", "", "best_effort or reliable; empty: reliable for a bag, else params_file's"),
    (
        "site",
        "",
        "Folder of the site that keeps clicks; empty: as in params_file, there ROS's home",
    ),
    ("namespace", "", "Namespace of all nodes, one for each robot"),
    ("autostart", "true", "Configure and activate; false: left to a lifecycle manager"),
    ("use_sim_time", "false", "Take the time from /clock"),
    ("log_level", "info", "debug, info, warn or error"),
    ("bag", "", "A rosbag2 or a folder of PLY, PCD, NPZ clouds to play in a loop; empty: none"),
    ("bag_topic", "", "Topic of the bag's clouds; empty: the only one that it has"),
    ("rate", "", "Clouds a second from the bag; empty: as recorded"),
    ("rviz", "false", "Start RViz"),
    ("rviz_config", str(CONFIG / "perception.rviz"), "What RViz shows"),
    ("fixed_frame", "camera_color_optical_frame", "RViz's fixed frame: the clouds' or one of TF"),
    ("shared_memory", "false", "Send clouds through shared memory (Fast DDS), see docs/ros.md"),
)


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=nodes)])


def nodes(context: LaunchContext) -> list[Node]:
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    common = {
        "namespace": given["namespace"],
        "output": "screen",
        "remappings": [("points", given["points"])],
        "additional_env": {},
    }
    if _yes(given["shared_memory"]):
        profile = str(CONFIG / "shared_memory.xml")
        common["additional_env"] = {"FASTRTPS_DEFAULT_PROFILES_FILE": profile}
    overrides = {
        "autostart": _yes(given["autostart"]),
        "use_sim_time": _yes(given["use_sim_time"]),
    }
    if given["bag"] and not given["reliability"]:
        given["reliability"] = "reliable"  # no cloud of a recording shall get lost
    overrides |= {
        name: given[name]
        for name in ("bundle", "target_frame", "reliability", "site")
        if given[name]
    }
    found = [
        Node(
            package="otoc_ros",
            executable="perception_node",
            name="perception_node",
            parameters=[given["params_file"], overrides],
            ros_arguments=["--log-level", given["log_level"]],
            **common,
        )
    ]
    if given["bag"]:
        pace = ["--rate", given["rate"]] if given["rate"] else []
        topic = ["--topic", given["bag_topic"]] if given["bag_topic"] else []
        found.append(
            Node(
                package="otoc_ros",
                executable="play_clouds",
                name="play_clouds",
                arguments=[given["bag"], "--loop", "--restamp", *pace, *topic],
                **common,
            )
        )
    if _yes(given["rviz"]):
        found.append(
            Node(
                package="rviz2",
                executable="rviz2",
                name="rviz2",
                arguments=["-d", given["rviz_config"], "-f", given["fixed_frame"]],
                parameters=[{"use_sim_time": overrides["use_sim_time"]}],
                **common,
            )
        )
    return found


def _yes(text: str) -> bool:
    return text.strip().lower() in ("true", "1", "yes", "on")
