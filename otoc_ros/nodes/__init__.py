"""What runs on the robot as ROS 2 nodes; the only package that imports rclpy and messages."""

import os

# Before NumPy is imported: its BLAS would else start a thread for every core of the robot, where
# the parameter `threads` is the promise. Whoever sets these variables has the last word.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
