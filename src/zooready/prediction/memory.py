"""Whether an image fits: memory that a network takes per pixel is measured on a piece, not guessed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from zooready.errors import InputInvalid
from zooready.records import Array

PIECE = 512 * 512  # pixels to measure on
SMALLEST = 64  # px, side of that piece, however many planes it has
LARGE = 4 * PIECE  # pixels up to which nothing is measured; a first run of PIECE takes up to 1.5 times as much a pixel as a large one
RESERVE = 2.0  # times what a piece shows: ONNX Runtime asks for twice as much whenever it runs out
COPIES = 3  # of the input and of each output beside those of the runtime: as read, as float32, as returned
TILE_BYTES = 3 * 2**29  # that a network may take for one tile

Network = Callable[[Array], Sequence[Array]]


def demand_room(run: Network, image: Array, why_whole: str = "") -> None:
    """Refuse an input for which there is not enough memory, before the system kills the process.

    Parameters
    ----------
    run
        Runs the network on (b, c, ..., y, x) float32.
    image
        The input; a piece of 512 x 512 px (or as many voxels) is run and measured if the whole has more than four times as many.
    why_whole
        Why it is not cut into tiles.

    Raises
    ------
    InputInvalid
        The whole would need more than is available.
    """
    room = available_bytes()
    if image[0, 0].size <= LARGE or room is None:
        return
    needed = RESERVE * needed_bytes(run, image) * image.size
    if needed > room:
        size = " x ".join(map(str, image.shape[2:]))
        whole = f", and it is not cut into tiles, since {why_whole}" if why_whole else ""
        raise InputInvalid(
            f"an image of {size} px needs about {needed / 1e9:.1f} GB of memory with this network, and {room / 1e9:.1f} GB are free"
            f"{whole}: cut it into smaller ones (Fiji: Image > Crop), close other programs, or use a larger machine."
        )


def demand_room_to_scale(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    """Refuse to scale the planes of an image (..., y, x) to a size (y, x), px, too large to hold, before the system kills the process.

    Raises
    ------
    InputInvalid
        The scaled image and its copies would need more than is available.
    """
    room, needed = available_bytes(), COPIES * 4 * math.prod((*shape[:-2], *size))
    if room is not None and needed > room and math.prod(size) > math.prod(shape[-2:]):
        planes = math.prod(shape[:-2])
        what = f"an image of {planes} planes" if planes > 1 else "an image"
        raise InputInvalid(
            f"{what} of {shape[-2]} x {shape[-1]} px would be scaled to {size[0]} x {size[1]} px, which needs {needed / 1e9:.1f} GB of "
            f"memory, and {room / 1e9:.1f} GB are free: check the size of its pixels or objects, or cut it into smaller ones."
        )


def needed_bytes(run: Network, image: Array) -> float:
    """Memory for one value of an input (b, c, ..., y, x), measured on its first pixels: the network's, and our copies of what goes in."""
    side = max(SMALLEST, math.isqrt(PIECE // math.prod(image.shape[2:-2])))
    piece = image[..., :side, :side]
    outputs = run(image[..., :SMALLEST, :SMALLEST])  # weights and buffers of fixed size
    taken = peak_bytes(lambda: run(piece))
    returned = sum(output.nbytes for output in outputs) / image[..., :SMALLEST, :SMALLEST].size
    return taken / piece.size + COPIES * (image.itemsize + returned) / RESERVE


def tile_side(run: Network, image: Array, side: int, least: int) -> int:
    """Side of a window that suits the memory, px: ``side``, or as many sixteenths of it as do.

    Parameters
    ----------
    run
        Runs the network on a window (1, c, ..., y, x) float32.
    image
        The image, (1, c, ..., y, x).
    side, least
        Largest and smallest side, px.

    Raises
    ------
    InputInvalid
        Not even the smallest fits.
    """
    room, grain = available_bytes(), max(1, side // 16)
    allowed = TILE_BYTES if room is None else min(TILE_BYTES, room / 2)
    values = needed_bytes(run, image) * math.prod(image.shape[1:-2])
    side = min(side, max(least, math.isqrt(int(allowed / values)) // grain * grain))
    needed = RESERVE * values * side**2
    if room is not None and needed > room:
        raise InputInvalid(
            f"one tile of {side} x {side} px needs about {needed / 1e9:.1f} GB of memory with this network, and {room / 1e9:.1f} GB are "
            "free: close other programs, give fewer planes, or use a larger machine."
        )
    return side


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


def peak_bytes(call: Callable[[], object]) -> int:
    """How much the resident memory of this process and of those that it started rises while ``call`` runs; 0 where the system is silent."""
    processes = ["self", *_descendants("self")]
    for process in processes:
        with suppress(OSError):
            Path(f"/proc/{process}/clear_refs").write_text("5")  # sets the recorded peak back to the present
    before = [_status(process, "VmRSS") for process in processes]
    call()
    return sum(max(0, _status(process, "VmHWM") - had) for process, had in zip(processes, before, strict=True))


def _descendants(process: str) -> Iterator[str]:
    """The numbers of the processes that one has started, and of those that these have: a stranger's network runs in one of the latter."""
    for file in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # it is just ending
            for child in file.read_text().split():
                yield child
                yield from _descendants(child)


def _status(process: str, field: str) -> int:
    """A number of bytes that the system states for a process; 0 for one that has ended, and where the system is silent."""
    lines: list[str] = []
    with suppress(OSError):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return 1024 * int(next((line for line in lines if line.startswith(field + ":")), f"{field}: 0").split()[1])
