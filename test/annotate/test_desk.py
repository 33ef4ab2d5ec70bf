"""What all windows of the labelling app share."""

import threading

from otoc_ros.annotate.desk import Desk
from otoc_ros.site.site import Site


def test_a_click_does_not_wait_for_the_super_voxels_of_another_scene(site: Site) -> None:
    desk = Desk(site)
    free = threading.Event()
    desk._background.submit(free.wait)  # the super-voxels of a large scene
    try:
        scan = desk.scan("b")
        assert scan.picker.result(timeout=120).pick((0.0, 0.0, 5.0), (0, 0, -1)) is not None
        assert scan.found_segments() is None
    finally:
        free.set()
    assert scan.segments.result(timeout=300).count > 1
