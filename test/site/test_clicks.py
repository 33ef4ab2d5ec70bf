"""No acknowledged click is ever lost, and none is ever edited."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from otoc_ros.core.errors import InputError
from otoc_ros.site.clicks import Click, active, append_clicks, read_events

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from pathlib import Path
from otoc_ros.site.clicks import Click, append_clicks
path, prefix, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    click = Click(
        id=f"{prefix}{number}", position=(number, 0, 0), class_name="chair", source="browser"
    )
    append_clicks(path, [click])
    print(click.id, flush=True)
"""

number = st.floats(-1e6, 1e6)
names = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20)
clicks = st.builds(
    Click,
    kind=st.sampled_from(["click", "exclude", "accept"]),
    position=st.tuples(number, number, number),
    class_name=names,
    object=st.integers(0, 2**31 - 1),
    source=st.sampled_from(["browser", "rviz", "simulated"]),
    time=st.floats(0, 1e10),
    seconds=st.floats(0, 1e5),
)


def chair(**changes: object) -> Click:
    return Click(position=(1, 2, 3), class_name="chair", source="browser", **changes)


def writer(path: Path, prefix: str, count: int) -> "subprocess.Popen[str]":
    """A process that waits for a line on its stdin, appends, and prints what was acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), prefix, str(count)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


@settings(max_examples=50, deadline=None)
@given(st.lists(clicks, max_size=5))
def test_what_was_said_comes_back(tmp_path_factory: pytest.TempPathFactory, said: list) -> None:
    path = tmp_path_factory.mktemp("clicks") / "clicks.jsonl"
    assert append_clicks(path, said[:2]) == len(said[:2])
    assert append_clicks(path, said) == len(said[2:])  # those of the first call are there already
    assert read_events(path) == said


@settings(max_examples=50, deadline=None)
@given(cut=st.integers(1, 400), rubbish=st.sampled_from([b"", b"\0\0\0", b'{"id": "\xff']))
def test_torn_last_line_is_passed_over_and_removed(
    tmp_path_factory: pytest.TempPathFactory, cut: int, rubbish: bytes
) -> None:
    path = tmp_path_factory.mktemp("torn") / "clicks.jsonl"
    said = [chair(), chair()]
    append_clicks(path, said)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    torn = whole[: max(first, len(whole) - cut)]
    path.write_bytes(torn + rubbish)
    # All but its line break is a whole line, unless rubbish follows.
    there = said if cut == 1 and not rubbish else said[:1]
    assert read_events(path) == there
    more = chair()
    append_clicks(path, [more])
    assert read_events(path) == [*there, more]
    assert path.read_bytes().startswith(whole[:first])


def test_kill_while_appending(tmp_path: Path) -> None:
    path = tmp_path / "clicks.jsonl"
    acknowledged = []
    for run in range(3):
        process = writer(path, f"run{run}-", 100_000)
        assert process.stdout is not None and process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        acknowledged += [process.stdout.readline().strip() for _ in range(20)]
        process.kill()
        acknowledged += process.stdout.read().split()
        process.wait()
    ids = [event.id for event in read_events(path)]
    assert len(acknowledged) >= 60
    assert set(acknowledged) <= set(ids)
    assert len(set(ids)) == len(ids)


def test_two_processes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "clicks.jsonl"
    processes = [writer(path, prefix, 100) for prefix in ("a", "b", "same", "same")]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    ids = [json.loads(line)["id"] for line in path.read_text().splitlines()]
    expected = [f"{prefix}{number}" for prefix in ("a", "b", "same") for number in range(100)]
    assert sorted(ids) == sorted(expected)  # each once: ids are looked up under the same lock


def test_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "clicks.jsonl"
    append_clicks(path, [chair(), chair()])
    path.write_bytes(b"rubbish\n" + path.read_bytes())
    with pytest.raises(InputError, match=r"clicks\.jsonl line 1 is not JSON"):
        read_events(path)
    with pytest.raises(InputError, match=r"line 1 is not JSON"):
        append_clicks(path, [chair()])


def test_unknown_field_is_named(tmp_path: Path) -> None:
    path = tmp_path / "clicks.jsonl"
    path.write_text(
        '{"id": "a", "source": "rviz", "position": [1, 2, 3], "class": "x", "hat": 1}\n'
    )
    with pytest.raises(InputError, match=r"line 1: hat: Extra inputs .*\(it is 1\)"):
        read_events(path)


def test_withdrawn_clicks_do_not_hold_in_any_order() -> None:
    first, second = chair(), chair()
    gone = Click(kind="withdraw", source="browser", withdraws=first.id)
    assert active([first, second, gone]) == [second]
    assert active([gone, first, second, second]) == [second]


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "withdraw"},
        {"kind": "click", "position": (1, 2, 3)},
        {"kind": "accept", "class_name": "chair"},
        {"position": (1, 2, float("nan")), "class_name": "chair"},
        {"position": (1, 2, 3), "class_name": "chair", "withdraws": "x"},
        {"position": (1, 2, 3), "class_name": "chair", "object": -1},
    ],
)
def test_click_that_lacks_what_its_kind_needs(values: dict) -> None:
    with pytest.raises(ValidationError):
        Click(source="browser", **values)
