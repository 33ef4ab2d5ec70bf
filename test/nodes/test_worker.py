"""The newest cloud is worked on, older ones go, and the thread outlives its work."""

import time
from threading import Event

import pytest

from otoc_ros.nodes.worker import NewestFirst


def test_only_the_newest_waits() -> None:
    done: list[int] = []
    entered, let_go = Event(), Event()

    def work(item: int) -> None:
        entered.set()
        assert let_go.wait(10)
        done.append(item)

    worker = NewestFirst(work, "test")
    assert not worker.put(0)
    assert entered.wait(10)  # the slot is free again, the thread is busy
    assert not worker.put(1)
    assert worker.put(2)
    assert worker.put(3)
    entered.clear()
    let_go.set()
    assert entered.wait(10)
    assert worker.stop(10)
    assert done == [0, 3]


def test_stop_drops_what_waits_and_tells_when_work_goes_on() -> None:
    done: list[int] = []
    entered, let_go = Event(), Event()

    def work(item: int) -> None:
        entered.set()
        assert let_go.wait(10)
        done.append(item)

    worker = NewestFirst(work, "test")
    worker.put(0)
    assert entered.wait(10)
    worker.put(1)
    assert not worker.stop(0.05)
    let_go.set()
    assert worker.stop(10)
    assert done == [0]


def test_an_exception_costs_one_item(capsys: pytest.CaptureFixture[str]) -> None:
    done = Event()

    def work(item: int) -> None:
        if item == 0:
            raise RuntimeError("item 0")
        done.set()

    worker = NewestFirst(work, "test")
    worker.put(0)
    said = ""  # a look at it may come between two parts of one line
    while "item 0" not in said:
        said += capsys.readouterr().err
        time.sleep(0.01)
    worker.put(1)
    assert done.wait(10)
    assert worker.stop(10)
