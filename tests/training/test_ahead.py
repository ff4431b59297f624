"""Pairs that workers make ahead: the same ones, in order, and no worker outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from zooready.errors import InputInvalid, ZooreadyError
from zooready.records import Pair
from zooready.training.ahead import Ahead, suited_workers

TAKEN = 1.0


def source(seed, number):
    """A pair that says by which process it was made."""
    if number == 13:
        raise InputInvalid("number 13 has no pair: take another.")
    if number == 666:
        os.kill(os.getpid(), signal.SIGKILL)
    return Pair(input=np.array([seed, number, os.getpid()]), target=np.zeros(1), pixel_size_um=TAKEN)


@pytest.fixture
def ahead():
    made = Ahead(source, 3)
    yield made
    made.close()


def test_pairs_come_in_order_from_workers_that_keep_their_numbers(ahead):
    numbers = [5, 6, 7, 8, 9, 10, 20, 21, 22, 23, 5]
    ahead.expect(2, numbers)
    pairs = [ahead(2, number) for number in numbers]
    assert [tuple(pair.input[:2]) for pair in pairs] == [(2, number) for number in numbers]
    by_rest = {
        number % 3: {pair.input[2] for pair, other in zip(pairs, numbers, strict=True) if other % 3 == number % 3} for number in numbers
    }
    assert all(len(workers) == 1 for workers in by_rest.values())
    assert len(set.union(*by_rest.values())) == 3
    assert os.getpid() not in set.union(*by_rest.values())


def test_what_was_expected_is_forgotten_for_what_comes_next(ahead):
    ahead.expect(0, range(100))
    assert ahead(0, 0).input[1] == 0
    ahead.expect(1, [40, 41])
    assert [tuple(ahead(1, number).input[:2]) for number in (40, 41)] == [(1, 40), (1, 41)]


@pytest.mark.parametrize(("least", "made"), [(0, 4), (16, 16)])
def test_as_many_pairs_are_made_ahead_as_a_step_takes(tmp_path, least, made):
    def noted(seed, number):
        (tmp_path / str(number)).touch()
        return source(seed, number)

    ahead = Ahead(noted, 1, least)
    ahead.expect(0, range(100, 200))
    until = time.monotonic() + 30
    while len(list(tmp_path.iterdir())) < made and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.2)  # for one too many
    ahead.close()
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == list(range(100, 100 + made))


def test_a_fault_of_the_source_is_told_and_the_others_go_on(ahead):
    ahead.expect(0, [12, 13, 14])
    ahead(0, 12)
    with pytest.raises(InputInvalid, match=r"number 13 has no pair: take another\."):
        ahead(0, 13)
    assert ahead(0, 14).input[1] == 14


def test_a_worker_that_the_system_ended_is_told_with_the_cure(ahead):
    ahead.expect(0, [666])
    with pytest.raises(ZooreadyError, match="a worker that makes pairs was ended by the system, which may be out of memory: use fewer"):
        ahead(0, 666)


def test_beside_a_cpu_there_are_no_workers_unless_they_are_asked_for():
    assert suited_workers(None, "cpu") == 0
    assert suited_workers(3, "cpu") == 3
    assert 0 <= suited_workers(None, "cuda") <= 8
    with pytest.raises(InputInvalid, match="workers=-1: give a whole number from 0"):
        suited_workers(-1, "cpu")


def test_workers_end_with_their_parent_even_if_it_is_killed(tmp_path):
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from test_ahead import source; from zooready.training.ahead import Ahead\n"
        "ahead = Ahead(source, 2); ahead.expect(0, range(4)); print(*{int(ahead(0, n).input[2]) for n in range(4)}, flush=True)\n"
        "time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True)
    workers = [int(number) for number in child.stdout.readline().split()]
    assert len(workers) == 2
    child.kill()
    child.wait()
    for _ in range(100):
        if not any(Path(f"/proc/{worker}").exists() for worker in workers):
            return
        time.sleep(0.2)
    raise AssertionError(f"workers {workers} outlive their parent")
