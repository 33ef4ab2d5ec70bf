from grey_box import grey_box_on_a_grey_floor

from offline_training.reach.behind import surfaces_behind
from otoc_ros.core.look import Look


def test_what_stands_on_a_floor_has_the_floor_behind_it():
    prepared, sensors = grey_box_on_a_grey_floor()
    look = Look.of(prepared, sensors)
    height = look.center[:, 2] + prepared.grid.origin[2]
    level = look.direction[:, 2] > 0.9
    top, floor = level & (height > 0.5), level & (height < 0.1)
    behind = surfaces_behind(prepared, look)
    assert behind[floor].max() < 0.1 and behind[top].min() > 0.4
    assert surfaces_behind(prepared, Look.of(prepared))[floor].max() < 0.1
