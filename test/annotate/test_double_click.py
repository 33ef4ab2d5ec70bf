"""Two clicks, or one double click."""

from otoc_ros.annotate.double_click import APART, BOUNCE, DoubleClick

HERE = (0.4, 0.5)


def test_the_second_click_at_a_place_soon_after_the_first_ends_a_double_click() -> None:
    double = DoubleClick()
    assert not double.ends(HERE, 1.0)
    assert double.ends((0.4 + APART / 2, 0.5), 1.0 + BOUNCE / 2)
    assert not double.ends(HERE, 1.0 + 0.9 * BOUNCE)  # a third one begins anew
    assert double.ends(HERE, 1.0 + 1.4 * BOUNCE)


def test_quick_clicks_at_two_places_are_two_clicks() -> None:
    double = DoubleClick()
    assert not double.ends(HERE, 1.0)
    assert not double.ends((0.4 + 2 * APART, 0.5), 1.0 + BOUNCE / 2)
    assert not double.ends((0.4 + 2 * APART, 0.5), 1.0 + 2 * BOUNCE)
