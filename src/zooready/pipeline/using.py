"""A bundle at work: check, predict, install."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zooready.errors import ConsumerFailed, InputInvalid
from zooready.records import Array, Bundle, Format, Image

if TYPE_CHECKING:
    from zooready.comparison import Comparison
    from zooready.installing import Installed
    from zooready.prediction import Prediction


def check(
    bundle: Path | str,
    *,
    consumers: Sequence[str] | None = None,
    image: Path | str | None = None,
    trust_code: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> Comparison:
    """Run a bundle in every program that is here, and compare the numbers; see docs/verdicts.md.

    Parameters and errors are those of :func:`zooready.comparison.compare`.
    """
    from zooready.comparison import compare

    return compare(bundle, consumers=consumers, image=image, trust_code=trust_code, progress=progress)


def predict(
    bundle: Path | str,
    image: Path | str | Image | Array,
    *,
    format: Format = "onnx",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    pixel_size: Literal["auto"] | None = None,
    channel: int | str | None = None,
    trust_code: bool = False,
) -> Prediction:
    """Run a bundle on an image of any size: a file, a :class:`Image`, or an array (y, x) or (c, y, x).

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
    """
    from zooready import prediction
    from zooready.bundle.reading import opened

    loaded = as_image(image)
    with opened(bundle, trust_code=trust_code) as opened_bundle:
        _demand(opened_bundle, format)
        return prediction.predict(opened_bundle, loaded, format=format, device=device, pixel_size=pixel_size, channel=channel)


def predict_files(
    bundle: Path | str,
    images: Sequence[Path],
    out: Path,
    *,
    format: Format = "onnx",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    trust_code: bool = False,
    **options: Any,
) -> Iterator[tuple[Path, Prediction | InputInvalid | ConsumerFailed, tuple[Path, ...]]]:
    """Run a bundle on many images, the network loaded once; an image that cannot be used does not stop the others.

    Parameters
    ----------
    bundle, images, out
        The bundle, the images, and the folder for ``<stem>_<output id>.tif`` and ``.csv``.
    format, device, trust_code
        As for :func:`predict`.
    **options
        ``pixel_size`` and ``channel`` of :func:`predict`.

    Yields
    ------
    tuple
        The image's path, its prediction or the reason why there is none, and the files written.

    Raises
    ------
    BundleInvalid
        The bundle cannot be read safely.
    InputInvalid
        Two images share a name, or the folder cannot be made.
    """
    from zooready import prediction
    from zooready.bundle.reading import opened
    from zooready.images.files import read_image
    from zooready.images.whole_files import make_folder

    stems = [image.stem for image in images]
    if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise InputInvalid(f"several images are called {', '.join(twice)}, so their results would share a name: run them into two folders.")
    with opened(bundle, trust_code=trust_code) as opened_bundle:
        _demand(opened_bundle, format)
        run = prediction.engine(opened_bundle, format, device)
        make_folder(out)
        for image in images:
            try:
                found = prediction.predict(opened_bundle, read_image(image), run=run, **options)
                yield image, found, prediction.save(found, out, image.stem)
            except (InputInvalid, ConsumerFailed) as error:
                yield image, error, ()


def install(bundle: Path | str, *, fiji: Path | str | None = None, force: bool = False) -> Installed:
    """Put a bundle where DeepImageJ finds it, with a macro that runs it; see docs/fiji.md.

    Parameters and errors are those of :func:`zooready.installing.install`.
    """
    from zooready import installing

    return installing.install(bundle, fiji=fiji, force=force)


def as_image(image: Path | str | Image | Array) -> Image:
    """A file, array or image as a :class:`Image`."""
    from zooready.images.files import read_image

    if isinstance(image, Image):
        return image
    if isinstance(image, str | Path):
        return read_image(image)
    if image.ndim not in (2, 3):
        raise InputInvalid(f"an image of shape {image.shape}: give (y, x) or (c, y, x), or an Image that names its axes.")
    return Image(array=image, axes="yx" if image.ndim == 2 else "cyx")


def _demand(bundle: Bundle, format: Format) -> None:
    if format not in bundle.formats:
        raise InputInvalid(f"{bundle.path.name} holds no {format}: choose --format from {', '.join(bundle.formats)}.")
