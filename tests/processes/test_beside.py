"""Pieces of work side by side: results in their order, the first error ends it, and no more at a time than may be."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from interrupting import interruptible

from zooready.errors import ZooreadyError
from zooready.processes import at_once, limits, side_by_side, time_left, within


@pytest.mark.parametrize("most", [1, 2, 3, 9])
def test_results_come_in_order_and_no_more_run_than_may(most):
    running, seen, lock, told = [0], [], threading.Lock(), []

    def call(number):
        with lock:
            running[0] += 1
            seen.append(running[0])
        time.sleep(0.05 if number % 2 else 0.1)
        with lock:
            running[0] -= 1
        return number**2

    results = side_by_side([lambda n=n: call(n) for n in range(6)], most, lambda number, done: told.append((number, done)))
    assert results == [n**2 for n in range(6)]
    assert max(seen) <= most
    assert [number for number, _ in told] == list(range(6)) if most == 1 else sorted(number for number, _ in told) == list(range(6))
    assert side_by_side([], most) == []


def test_calls_run_at_the_same_time():
    both = threading.Barrier(2, timeout=60)
    side_by_side([both.wait, both.wait], 2)
    with pytest.raises(threading.BrokenBarrierError):
        side_by_side([threading.Barrier(2, timeout=0.2).wait] * 2, 1)


def test_the_first_error_is_raised_and_what_has_not_begun_is_left():
    begun = []

    def fail(number):
        begun.append(number)
        raise ZooreadyError(f"number {number}")

    with pytest.raises(ZooreadyError, match="number 0"):
        side_by_side([lambda n=n: fail(n) for n in range(50)], 1)
    assert begun == [0]


def test_the_limit_of_time_around_it_counts_inside():
    with within(60.0, ZooreadyError("late")):
        assert all(0 < left <= 60 for left in side_by_side([time_left] * 3, 2))


def test_programs_side_by_side_share_the_memory_that_one_may_take(monkeypatch):
    monkeypatch.setattr(limits, "machine_bytes", lambda: 100 * 2**30)
    assert limits.memory_bytes() == 80 * 2**30
    assert side_by_side([limits.memory_bytes] * 4, 2) == [40 * 2**30] * 4
    assert side_by_side([limits.memory_bytes], 2) == [80 * 2**30]
    assert limits.memory_bytes() == 80 * 2**30


def test_at_least_one_may_run_and_no_more_than_there_are_cores():
    assert 1 <= at_once() <= (os.cpu_count() or 1)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_it_although_calls_run():
    calls = "[lambda: time.sleep(60)] * 3"
    script = f"import time\nfrom zooready.processes import side_by_side\nprint('ready', flush=True)\nside_by_side({calls}, 2)"
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=interruptible, text=True
    )
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    _, words = child.communicate(timeout=30)
    assert "KeyboardInterrupt" in words


def test_calls_begin_in_the_order_that_is_asked_for_and_results_keep_their_own():
    begun = []
    assert side_by_side([lambda n=n: begun.append(n) or 10 * n for n in range(4)], 1, order=[0, 3, 1, 2]) == [0, 10, 20, 30]
    assert begun == [0, 3, 1, 2]
