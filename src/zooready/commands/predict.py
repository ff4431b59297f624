"""``zooready predict``: a bundle on images of any size."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

from zooready import prediction
from zooready.bundle.hashes import sha256
from zooready.commands import runs, switches
from zooready.commands.console import print_fault, print_line, print_notes, progress_bar
from zooready.commands.export import bundle_of
from zooready.commands.listing import listed, result_stem, whole_plates
from zooready.commands.numbers import above_zero
from zooready.data import arriving
from zooready.errors import ConsumerFailed, InputInvalid, ZooreadyError
from zooready.images.files import read_image
from zooready.images.loading import Given, as_image
from zooready.images.ome_zarr import is_store
from zooready.images.plates import field_of
from zooready.images.whole_files import make_folder
from zooready.prediction import Prediction
from zooready.prediction.plate_results import PlateResults
from zooready.records import Bundle, Format, Image

Device = Literal["auto", "cpu", "cuda"]
WATCHED = "watched.json"  # in the folder of results: which files of the folder that is watched were run
FILES = (".tif", ".tiff", ".csv", ".zarr")  # endings of a single result
WRITTEN = (".tif", ".ome.tif", ".csv", ".ome.zarr")  # endings of results in a folder


def options(parser: ArgumentParser) -> None:
    """Add the options of ``zooready predict``."""
    add = parser.add_argument
    runs.takes_family(add("bundle", help="zip, folder, run, or a family with shipped weights"))
    kinds = "TIFF, OME-TIFF, OME-Zarr (plates too), PNG, JPEG, CZI, ND2, LIF (one of several in a file: recording.lif/NAME), or a folder"
    add("images", type=Path, nargs="+", metavar="IMAGE-or-DIR", help=kinds)
    add("-o", "--out", type=Path, required=True, help="folder for the results; or, of one image with one output, the .tif, .zarr or .csv")
    add("--watch", action="store_true", help="go on with images that appear in the folder, until Ctrl-C; none twice, even after a restart")
    add("--scheduler", metavar="ADDRESS", help="Dask cluster that computes the tiles of large images, such as tcp://10.0.0.1:8786")
    add("--format", choices=("onnx", "torchscript", "state_dict"), default="onnx", help="weights to run")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute")
    switches.add_size(parser)
    add(
        "--na",
        type=above_zero,
        default=SUPPRESS,
        help="numerical aperture, with --wavelength-nm: suits the blur to a network that takes it away",
    )
    add("--wavelength-nm", type=above_zero, default=SUPPRESS, metavar="NM", help="emission wavelength")
    switches.add_channel(parser)
    switches.add_axes(parser)
    switches.add_time_limit(parser)
    switches.add_trust_code(parser, ", which --format state_dict needs")


def predict(
    bundle: Path | str,
    image: Given,
    *,
    format: Format = "onnx",
    device: Device = "auto",
    pixel_size: float | Literal["auto"] | None = None,
    diameter: float | None = None,
    na: float | None = None,
    wavelength_nm: float | None = None,
    channel: int | str | None = None,
    axes: str | None = None,
    trust_code: bool = False,
    time_limit_s: float | None = None,
    scheduler: str | None = None,
) -> Prediction:
    """Run a bundle on an image of any size: a file, an image, or an array of any library.

    Parameters
    ----------
    bundle
        Zip, folder, the folder of a finished run, or a family with shipped weights; of these two a bundle is made first, which takes a
        while.
    image
        The image; an array is (y, x) or (c, y, x) unless ``axes``, or its own dimensions, say something else.
    format
        The weights to run.
    device
        Where to compute.
    pixel_size
        The side of the image's pixels, µm, or "auto" for what the image itself states: the image is resampled into the bundle's range of
        pixel sizes, and the results back.
    diameter
        Width of a typical object in the image, px: the image is resampled to the middle of the sizes that the network was trained on,
        and the results back.
    na, wavelength_nm
        Numerical aperture and emission wavelength, nm: the image is resampled so that a network which takes blur away sees one that it
        takes away well, and the results back.
    channel
        The one channel to take, by name or by number from 1.
    axes
        Letters of ``tzcyx``: the axes of the array, or of the file's if it does not name them, as plain stacks do not.
    trust_code
        Whether the bundle's own Python may be run, which a state dict needs.
    time_limit_s
        How long the network may take for one image, s; an hour if None.
    scheduler
        Address of the scheduler of a Dask cluster, whose workers compute the tiles of a large image, such as ``tcp://10.0.0.1:8786``.

    Returns
    -------
    Prediction
        Images and scores by output id, with the image's calibration, and notes to read.

    Raises
    ------
    InputInvalid
        The image cannot be read or does not suit the bundle.
    BundleInvalid
        The bundle cannot be read safely.
    ConsumerMissing
        No scheduler answers, or it has no workers.
    """
    loaded = as_image(image, axes=axes)
    workers = prediction.cluster(scheduler) if scheduler else nullcontext()
    with bundle_of(bundle, trust_code=trust_code, time_limit_s=time_limit_s) as opened_bundle, workers as spread:
        _demand(opened_bundle, format)
        return prediction.predict(
            opened_bundle, loaded, format=format, device=device, pixel_size=pixel_size, diameter=diameter, na=na,
            wavelength_nm=wavelength_nm, channel=channel, spread=spread,
        )  # fmt: skip


class Predictor:
    """A bundle whose network is loaded once, for many images; ``with Predictor("nuclei.zip") as predictor: predictor(image)``.

    Parameters
    ----------
    bundle, format, device, trust_code, time_limit_s, scheduler
        As for :func:`predict`; the cluster is kept until the predictor is closed.

    Raises
    ------
    InputInvalid, BundleInvalid, ConsumerMissing
        As for :func:`predict`.
    """

    def __init__(
        self,
        bundle: Path | str,
        *,
        format: Format = "onnx",
        device: Device = "auto",
        trust_code: bool = False,
        time_limit_s: float | None = None,
        scheduler: str | None = None,
    ) -> None:
        self.format, self.device, self.is_closed = format, device, False
        with ExitStack() as stack:
            self.bundle = stack.enter_context(bundle_of(bundle, trust_code=trust_code, time_limit_s=time_limit_s))
            _demand(self.bundle, format)
            self.spread = stack.enter_context(prediction.cluster(scheduler)) if scheduler else None
            self.loaded = prediction.load(self.bundle, format, device)
            self.opened = stack.pop_all()

    def __call__(self, image: Given, *, axes: str | None = None, **options: Any) -> Prediction:
        """Run the network on an image; ``axes`` and ``options`` are what :func:`predict` takes besides."""
        if self.is_closed:
            raise InputInvalid("this predictor was closed: make a new one.")
        loaded = as_image(image, axes=axes)
        options |= {"loaded": self.loaded, "format": self.format, "device": self.device, "spread": self.spread}
        return prediction.predict(self.bundle, loaded, **options)

    def close(self) -> None:
        """Remove what was unpacked, and leave the cluster; the predictor cannot be used any more."""
        self.is_closed = True
        self.opened.close()

    def __enter__(self) -> Self:
        """The predictor itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close it."""
        self.close()


def predict_files(
    bundle: Path | str,
    images: Sequence[Path],
    out: Path,
    *,
    format: Format = "onnx",
    device: Device = "auto",
    axes: str | None = None,
    trust_code: bool = False,
    time_limit_s: float | None = None,
    watch: bool = False,
    scheduler: str | None = None,
    **options: Any,
) -> Iterator[tuple[Path, Prediction | InputInvalid | ConsumerFailed, tuple[Path, ...]]]:
    """Run a bundle on many images, the network loaded once; an image that cannot be used does not stop the others.

    Parameters
    ----------
    bundle, images, out
        The bundle, the images or folders of them, and the folder for ``<stem>_<output id>.tif`` and ``.csv``; or the one file to write,
        of one image and a bundle with one output, if its name ends in ``.tif``, ``.tiff``, ``.zarr`` or ``.csv`` and no folder has it.
    format, device, axes, trust_code, time_limit_s
        As for :func:`predict`.
    watch
        Wait for images that appear in the one folder that ``images`` names, without end; ``out`` remembers those that were run.
    scheduler
        Address of the scheduler of a Dask cluster, whose workers compute the tiles of large images.
    **options
        ``pixel_size``, ``diameter``, ``na``, ``wavelength_nm`` and ``channel`` of :func:`predict`; ``progress``, called with (done, in
        all) meanwhile.

    Yields
    ------
    tuple
        The image's path, its prediction or the reason why there is none, and the files written. Fields of a plate that was named come one
        by one, without files; last come the plate's own path and the plates and tables that were written.

    Raises
    ------
    BundleInvalid
        The bundle cannot be read safely.
    InputInvalid
        Two images share a name, the folder cannot be made, or one file is to hold several results.
    ConsumerMissing
        No scheduler answers, or it has no workers.
    """
    found = _listed(images, out, watch)
    is_file = out.suffix.lower() in FILES and (is_store(out) or not out.is_dir())
    if is_file and (watch or len(found) != 1):
        many = "more images are awaited" if watch else f"there are {len(found)} images"
        raise InputInvalid(f"{out} is one file, and {many}: name a folder for their results.")
    plates = {} if is_file or watch else whole_plates(found)
    workers = prediction.cluster(scheduler) if scheduler else nullcontext()
    with bundle_of(bundle, trust_code=trust_code, time_limit_s=time_limit_s) as opened_bundle, workers as spread:
        _demand(opened_bundle, format)
        if is_file and len(opened_bundle.outputs) != 1:
            names = ", ".join(name for name, _ in opened_bundle.kinds)
            raise InputInvalid(f"{out} is one file, and {opened_bundle.path.name} has several outputs ({names}): name a folder for them.")
        _demand_new([*found, *plates], _results(found, plates, opened_bundle, out, is_file))
        facts = (format, device, axes, tuple(sorted((name, value) for name, value in options.items() if name != "progress")))
        options |= {"loaded": prediction.load(opened_bundle, format, device), "format": format, "device": device, "spread": spread}
        folder = make_folder(out.absolute().parent if is_file else out)
        weights = sha256(opened_bundle.formats[format])
        begun = {plate: PlateResults(folder, result_stem(plate), fields, facts, weights) for plate, fields in plates.items()}
        for image in arriving(found[0], out / WATCHED) if watch else found:
            try:
                with prediction.resumable(folder, out.stem if is_file else result_stem(image)) as parts:
                    loaded = read_image(image, axes=axes, lazily=folder)
                    compute = partial(prediction.predict, opened_bundle, loaded, parts=parts, **options)
                    result, written = _saved(compute, loaded, image, out, begun, is_file=is_file)
                yield image, result, written
            except (InputInvalid, ConsumerFailed) as error:
                yield image, error, ()
        for plate, results in begun.items():
            yield plate, Prediction(), results.finish()


def _saved(
    compute: Callable[[], Prediction], loaded: Image, image: Path, out: Path, plates: Mapping[Path, PlateResults], *, is_file: bool
) -> tuple[Prediction, tuple[Path, ...]]:
    """The prediction for an image, and the files that were written; for a field of a plate, of which the others are to come, none."""
    field = field_of(image) if plates else None
    if field and field.plate in plates:
        return plates[field.plate].run(field, loaded, compute), ()
    result = compute()
    if is_file:
        return result, prediction.save_one(result, out)
    return result, prediction.save(result, out, result_stem(image), as_zarr=is_store(image))


def _results(found: Sequence[Path], plates: Iterable[Path], bundle: Bundle, out: Path, is_file: bool) -> list[Path]:
    """Every file that may be written."""
    stems = {*map(result_stem, found), *map(result_stem, plates)}
    return [out] if is_file else [out / f"{stem}_{name}{ending}" for stem in stems for name, _ in bundle.kinds for ending in WRITTEN]


def _demand(bundle: Bundle, format: Format) -> None:
    if format not in bundle.formats:
        raise InputInvalid(f"{bundle.path.name} holds no {format}: choose --format from {', '.join(bundle.formats)}.")


def _demand_new(images: Sequence[Path], results: Sequence[Path]) -> None:
    """Refuse to write a result over an image."""
    if lost := {image.resolve() for image in images} & {result.resolve() for result in results}:
        raise InputInvalid(f"{', '.join(map(str, sorted(lost)))} would be overwritten by a result: name another folder or file for it.")


def _listed(images: Sequence[Path], out: Path, watch: bool) -> list[Path]:
    """The images, and those in the folders among them; the folder itself to watch."""
    for path in images:
        if path.is_dir() and path.resolve() == out.resolve():
            raise InputInvalid(f"the results would be written among the images of {path}: name another folder for them.")
        if watch and (len(images) > 1 or not path.is_dir()):
            raise InputInvalid(f"{path} cannot be watched: name one folder, the one that the microscope writes to.")
    found = list(images) if watch else listed(images)
    stems = [result_stem(image) for image in found]
    if repeated := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise InputInvalid(
            f"several images are called {', '.join(repeated)}, so their results would share a name: run them into two folders."
        )
    return found


def run(bundle: str, images: Sequence[Path], out: Path, **options: Any) -> int:
    """Run every image; one that cannot be read, or that the network fails on, is named, and the others go on.

    Results that are not finite are written, since other planes may be right, and count as a failure of the network.
    """
    code = 0
    with progress_bar(left=True) as show:
        options["progress"] = lambda done, total: show(done, total, "")
        for image, result, written in predict_files(bundle, images, out, **options):
            if isinstance(result, ZooreadyError):
                print_fault(image, result)
                code = max(code, 2 if isinstance(result, InputInvalid) else 1)
                continue
            print_notes(result.notes, image.name)
            code = max(code, 1 if result.not_finite else 0)
            for path in written:
                print_line(path)
    return code
