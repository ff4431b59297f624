"""Child processes and what they leave behind: limits of memory, an end together with their parent, scratch folders that are swept.

In: nothing but the machine. Out: numbers, folders, threads. What runs inside a child is said in the rooms that start one.

May import: nothing
"""

from zooready.processes.folders import locked, scratch
from zooready.processes.limits import end, end_with_parent, machine_bytes, memory_bytes

__all__ = ["end", "end_with_parent", "locked", "machine_bytes", "memory_bytes", "scratch"]
