"""The things that zooready does, as plain functions: train, export, check, predict. The command line calls these and prints.

May import: about, pictures, bundle, families, cards, training, exporting, comparison, prediction, installing
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zooready.errors import ConsumerFailed, InputInvalid
from zooready.records import About, Array, Bundle, Family, Format, Picture

if TYPE_CHECKING:
    from zooready.comparison import Comparison
    from zooready.exporting import Exported
    from zooready.installing import Installed
    from zooready.prediction import Prediction
    from zooready.training.checkpoint import Checkpoint

AUTHORS = ({"name": "the zooready authors"},)
LICENSE = "BSD-3-Clause"


def train(
    family: str | Family,
    out: Path | str,
    *,
    data: Path | str = "simulated",
    steps: int | None = None,
    batch: int | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Checkpoint:
    """Train a family's network; see docs/train.md.

    Parameters
    ----------
    family
        Name or record.
    out
        Folder of the run. A run that was stopped goes on; a finished one is returned.
    data
        "simulated", or a folder of pictures in the family's layout.
    steps, batch
        The family's recipe if None.
    seed
        Of weights, data and augmentation.
    device
        "auto", "cpu", "cuda" or "mps".

    Raises
    ------
    InputInvalid
        Unknown family, unusable data, or a folder that holds another run.
    """
    from zooready.training.loop import train as fit

    chosen = named(family) if isinstance(family, str) else family
    folder = None if str(data) == "simulated" else Path(data)
    return fit(chosen, Path(out), steps=steps, batch=batch, seed=seed, device=device, data=folder)


def named(name: str) -> Family:
    """The family of that name.

    Raises
    ------
    InputInvalid
        There is none; the message lists those that exist.
    """
    from zooready.families import FAMILIES

    if name not in FAMILIES:
        raise InputInvalid(f"no family is called {name!r}: choose from {', '.join(FAMILIES)}.")
    return FAMILIES[name]


def export_trained(
    source: Path | str,
    out: Path | str | None = None,
    *,
    about: Path | str | None = None,
    torchscript: str = "auto",
    outputs: Sequence[str] | None = None,
    family: Family | None = None,
) -> Exported:
    """Make the bundle of a finished run, or of the weights that come with zooready.

    Parameters
    ----------
    source
        Folder of a run, or the name of a family with shipped weights.
    out
        The zip; ``<family>.zip`` here if None.
    about
        ``about.yaml``; the family's own facts if None.
    torchscript
        "auto", "plain", "frozen" or "channels_last".
    outputs
        Ids to keep, e.g. only ``["labels"]`` for QuPath, which takes one.
    family
        The record that the run was trained with, for one that is not in FAMILIES.

    Raises
    ------
    InputInvalid
        Neither a run nor a family, a run of another family, or an output that does not exist.
    """
    from zooready import exporting
    from zooready.about import read

    family, state, provenance, documentation = _trained(source, family)
    network = family.architecture.build()
    network.load_state_dict(state)
    return exporting.export(
        network,
        _sample(family),
        read(Path(about)) if about else about_of(family, documentation),
        Path(out) if out else Path(f"{family.name}.zip"),
        architecture=family.architecture,
        normalization=family.normalization,
        head=family.head,
        input=family.input,
        outputs=family.outputs,
        keep=_places(family, outputs),
        restores=family.restores,
        torchscript=torchscript,
        tolerance=family.tolerance,
        provenance=provenance,
    )


def about_of(family: Family, documentation: str = "") -> About:
    """The facts of a family's own bundle."""
    return About(
        name=family.title,
        description=family.description,
        authors=AUTHORS,
        license=LICENSE,
        cite=family.cite,
        tags=family.tags,
        pixel_size_um=family.pixel_size_um,
        documentation=documentation,
    )


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
    image: Path | str | Picture | Array,
    *,
    format: Format = "onnx",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    pixel_size: Literal["auto"] | None = None,
    channel: int | str | None = None,
    trust_code: bool = False,
) -> Prediction:
    """Run a bundle on a picture of any size: a file, a :class:`Picture`, or an array (y, x) or (c, y, x).

    Returns
    -------
    Prediction
        Pictures and scores by output id, with the picture's calibration, and notes to read.

    Raises
    ------
    InputInvalid
        The picture cannot be read or does not suit the bundle.
    BundleInvalid
        The bundle cannot be read safely.
    """
    from zooready import prediction
    from zooready.bundle.reading import opened

    picture = as_picture(image)
    with opened(bundle, trust_code=trust_code) as opened_bundle:
        _demand(opened_bundle, format)
        return prediction.predict(opened_bundle, picture, format=format, device=device, pixel_size=pixel_size, channel=channel)


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
    """Run a bundle on many pictures, the network loaded once; a picture that cannot be used does not stop the others.

    Parameters
    ----------
    bundle, images, out
        The bundle, the pictures, and the folder for ``<stem>_<output id>.tif`` and ``.csv``.
    format, device, trust_code
        As for :func:`predict`.
    **options
        ``pixel_size`` and ``channel`` of :func:`predict`.

    Yields
    ------
    tuple
        The picture's path, its prediction or the reason why there is none, and the files written.

    Raises
    ------
    BundleInvalid
        The bundle cannot be read safely.
    InputInvalid
        Two pictures share a name, or the folder cannot be made.
    """
    from zooready import prediction
    from zooready.bundle.reading import opened
    from zooready.pictures import read_picture

    stems = [image.stem for image in images]
    if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise InputInvalid(
            f"several pictures are called {', '.join(twice)}, so their results would share a name: run them into two folders."
        )
    with opened(bundle, trust_code=trust_code) as opened_bundle:
        _demand(opened_bundle, format)
        run = prediction.engine(opened_bundle, format, device)
        prediction.make_folder(out)
        for image in images:
            try:
                found = prediction.predict(opened_bundle, read_picture(image), run=run, **options)
                yield image, found, prediction.save(found, out, image.stem)
            except (InputInvalid, ConsumerFailed) as error:
                yield image, error, ()


def install(bundle: Path | str, *, fiji: Path | str | None = None, force: bool = False) -> Installed:
    """Put a bundle where DeepImageJ finds it, with a macro that runs it; see docs/fiji.md.

    Parameters and errors are those of :func:`zooready.installing.install`.
    """
    from zooready import installing

    return installing.install(bundle, fiji=fiji, force=force)


def as_picture(image: Path | str | Picture | Array) -> Picture:
    """A file, array or picture as a :class:`Picture`."""
    from zooready.pictures import read_picture

    if isinstance(image, Picture):
        return image
    if isinstance(image, str | Path):
        return read_picture(image)
    if image.ndim not in (2, 3):
        raise InputInvalid(f"a picture of shape {image.shape}: give (y, x) or (c, y, x), or a Picture that names its axes.")
    return Picture(array=image, axes="yx" if image.ndim == 2 else "cyx")


def _demand(bundle: Bundle, format: Format) -> None:
    if format not in bundle.formats:
        raise InputInvalid(f"{bundle.path.name} holds no {format}: choose --format from {', '.join(bundle.formats)}.")


def _trained(source: Path | str, given: Family | None) -> tuple[Family, Mapping[str, Any], Mapping[str, Any], str]:
    """Family, weights, provenance and measured tables (Markdown) of a run's folder or of a shipped model."""
    from zooready import cards
    from zooready.families import FAMILIES, load_record, load_weights
    from zooready.training import checkpoint

    if given is None and str(source) in FAMILIES and not (Path(source) / checkpoint.RECORD).exists():
        family = FAMILIES[str(source)]
        record = load_record(family.name)
        return family, load_weights(family.name), provenance_of(record), "\n".join(cards.tables(record))
    if not Path(source).is_dir():
        raise InputInvalid(f"{str(source)!r} is neither the folder of a run nor a family: choose from {', '.join(FAMILIES)}.")
    run = checkpoint.read(Path(source))
    facts: dict[str, Any] = {"seed": run.seed, "steps": run.steps, "data": run.data, "data_sha256": run.data_sha256, "git": run.git}
    facts |= {"versions": dict(run.versions), "metrics": dict(run.metrics)}
    if given is not None and given.name != run.family:
        raise InputInvalid(f"{source} holds a run of {run.family!r}, not of {given.name!r}: give the family that it was trained with.")
    return given or named(run.family), run.state_dict(), provenance_of(facts), ""


def provenance_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle tells of its training."""
    kept = ("seed", "steps", "batch", "data", "data_sha256", "git", "versions", "metrics")
    facts = {key: record[key] for key in kept if record.get(key) not in (None, "")}
    words = f"{record.get('steps')} steps on {record.get('data', 'unknown data')}, seed {record.get('seed')}."
    return {**facts, "training": words}


def _places(family: Family, outputs: Sequence[str] | None) -> tuple[int, ...]:
    """Places of the outputs that were asked for; empty for all."""
    ids = [spec.name for spec in family.outputs]
    unknown = [name for name in outputs or () if name not in ids]
    if unknown:
        raise InputInvalid(f"{family.name} has no output {', '.join(map(repr, unknown))}: choose from {', '.join(ids)}.")
    return tuple(ids.index(name) for name in outputs or ())


def _sample(family: Family) -> Picture:
    if family.sample is None:
        raise InputInvalid(f"{family.name} has no sample picture: give its Family a sample().")
    return family.sample()
