"""Whether a whole image fits: memory that a network takes per pixel is measured on a piece, not guessed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from zooready.errors import InputInvalid
from zooready.records import Array

PIECE = 512 * 512  # pixels to measure on
SMALLEST = 64  # px, side of that piece, however many planes it has
LARGE = 4 * PIECE  # pixels up to which nothing is measured; a first run of PIECE takes up to 1.5 times as much a pixel as a large one


def demand_room(run: Callable[[Array], object], image: Array) -> None:
    """Refuse an input for which there is not enough memory, before the system kills the process.

    Parameters
    ----------
    run
        Runs the network on (b, c, ..., y, x) float32.
    image
        The input; a piece of 512 x 512 px (or as many voxels) is run and measured if the whole has more than four times as many.

    Raises
    ------
    InputInvalid
        The whole would need more than is available.
    """
    room = available_bytes()
    planes = math.prod(image.shape[2:-2])
    if image[0, 0].size <= LARGE or room is None:
        return
    side = max(SMALLEST, math.isqrt(PIECE // planes))
    piece = image[..., :side, :side]
    run(image[..., :SMALLEST, :SMALLEST])  # weights and buffers of fixed size
    taken = _peak_bytes(lambda: run(piece))
    needed = taken * image.size / piece.size
    if needed > room:
        size = " x ".join(map(str, image.shape[2:]))
        raise InputInvalid(
            f"an image of {size} px needs about {needed / 1e9:.1f} GB of memory with this network, and {room / 1e9:.1f} GB are free: "
            "cut it into smaller ones (Fiji: Image > Crop), close other programs, or use a larger machine."
        )


def available_bytes() -> int | None:
    """Memory that this process may still take, in bytes, limits of a container included; None where the system does not say."""
    limits = []
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        limits.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        limits.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    if not limits:
        with suppress(OSError, ValueError, AttributeError):
            limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(limits, default=None)


def _peak_bytes(call: Callable[[], object]) -> int:
    """How much the resident memory of this process and its children rises while ``call`` runs, in bytes; 0 where the system is silent."""
    with suppress(OSError):
        processes = ["self", *(pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split())]
        for process in processes:
            Path(f"/proc/{process}/clear_refs").write_text("5")  # sets the recorded peak back to the present
        before = sum(_status(process, "VmRSS") for process in processes)
        call()
        return max(0, sum(_status(process, "VmHWM") for process in processes) - before)
    return 0


def _status(process: str, field: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field + ":")).split()[1])
