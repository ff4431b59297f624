"""Processes and what they leave behind: limits of memory and time, an end together with the parent, scratch folders that are swept.

In: nothing but the machine. Out: numbers, folders, threads. What runs inside a child is said in the rooms that start one.

May import: nothing
"""

from zooready.processes.beside import YIELDING, at_once, cores, side_by_side
from zooready.processes.deadline import OutOfTime, on_time, time_left, within
from zooready.processes.folders import locked, scratch
from zooready.processes.limits import end, end_with_parent, machine_bytes, memory_bytes
from zooready.processes.templates import Worker, prepare, start_worker

__all__ = [
    "YIELDING",
    "OutOfTime",
    "Worker",
    "at_once",
    "cores",
    "end",
    "end_with_parent",
    "locked",
    "machine_bytes",
    "memory_bytes",
    "on_time",
    "prepare",
    "scratch",
    "side_by_side",
    "start_worker",
    "time_left",
    "within",
]
