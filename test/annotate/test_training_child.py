"""The training command beside the page, and going back to an earlier round."""

from pathlib import Path

import pytest

from otoc_ros.annotate.training import Training
from otoc_ros.core.errors import InputError
from otoc_ros.site.site import Site


def test_what_the_command_says_reaches_the_page(site: Site) -> None:
    training = Training(site.path)
    training.export()  # there is nothing to export, which the command says in a line of its own
    with pytest.raises(InputError, match="export runs already"):
        training.train("tiny")
    training.wait()
    assert training.ended == 2 and not training.running
    assert "was not trained yet" in training.line, training.line


def test_rolled_back_rounds_are_set_aside(tmp_path: Path) -> None:
    for name in ("00", "01", "02"):
        folder = tmp_path / "rounds" / name
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text("{}")
    (tmp_path / "rounds" / "03").mkdir()  # begun, not complete
    training = Training(tmp_path)
    assert training.rounds() == ["00", "01", "02"]
    with pytest.raises(InputError, match="no round 03; there are 00, 01, 02"):
        training.roll_back("03")
    training.roll_back("01")
    assert training.rounds() == ["00", "01"]
    (aside,) = (tmp_path / "rounds").glob("set-aside-*")
    assert sorted(path.name for path in aside.iterdir()) == ["02", "03"]
    assert (aside / "02" / "metrics.json").exists()
