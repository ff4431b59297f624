"""The text of a CellProfiler pipeline: images in, every output of a bundle out as files.

CellProfiler reads the values of a module's settings by their order; the words before each colon are for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zooready.errors import BundleInvalid
from zooready.tensors import TensorSpec

RULES = 'and (file does contain "{}")'
Settings = Sequence[tuple[str, object]]


@dataclass(frozen=True, kw_only=True)
class Module:
    """One module: its settings, in the order of its file format ``revision``."""

    name: str
    revision: int
    settings: Settings

    def text(self, number: int) -> str:
        """Its lines, as ``number`` in the pipeline."""
        head = (
            f"{self.name}:[module_num:{number}|svn_version:'Unknown'|variable_revision_number:{self.revision}|show_window:False|notes:[]|"
            "batch_state:array([], dtype=uint8)|enabled:True|wants_pause:False]"
        )
        return "\n".join([head, *(f"    {label}:{value}" for label, value in self.settings)])


def pipeline(outputs: Sequence[TensorSpec], *, channels: int, volume: bool, bundle: str) -> str:
    """A pipeline that writes what a bundle gives.

    Parameters
    ----------
    outputs
        Of the bundle. Images become ``<image>-<output>-<channel>.tiff`` (32-bit), labels ``<image>-<output>.tiff`` (int32), both
        numbered from 0 in the bundle's order, and scores columns ``RunZooready_Out_*`` of ``Image.csv``.
    channels
        Number of the input's channels; that of an image is the file whose name has ``-channel<number>``.
    volume
        Whether images are volumes.
    bundle
        Name of the zip, which lies beside the images.

    Raises
    ------
    BundleInvalid
        Several outputs with labels or scores, of which the plugin takes the first.
    """
    for kind in ("labels", "scores"):
        if sum(output.kind == kind for output in outputs) > 1:
            raise BundleInvalid(
                f"the bundle has several outputs with {kind}, and CellProfiler's plugin takes the first: export one of them."
            )
    images = [
        (f"{output.name}: {name}", f"Output{k}x{c}", f"-{k}-{c}")
        for k, output in enumerate(outputs)
        if output.kind == "image"
        for c, name in enumerate(output.channels)
    ]
    labels = [k for k, output in enumerate(outputs) if output.kind == "labels"]
    modules = [*_inputs(channels, volume)]
    if labels or images:
        modules.append(_zooready("Find objects" if labels else "Make images", channels, bundle, images))
    if any(output.kind == "scores" for output in outputs):
        modules.append(_zooready("Classify images", channels, bundle, []))
        modules.append(_table())
    for k in labels:
        shown = (("Objects", "Objects"), ("Name", "Labels"), ("Format", "uint16"), ("Colormap", "Default"))
        modules += [Module(name="ConvertObjectsToImage", revision=1, settings=shown), _saved("Labels", f"-{k}", "No conversion")]
    modules += [_saved(name, suffix, "32-bit floating point") for _, name, suffix in images]
    head = "CellProfiler Pipeline: http://www.cellprofiler.org\nVersion:5\nDateRevision:4281\nGitHash:\n"
    head += f"ModuleCount:{len(modules)}\nHasImagePlaneDetails:False\n"
    return "\n\n".join([head.rstrip("\n"), *(module.text(number) for number, module in enumerate(modules, 1))]) + "\n"


def _inputs(channels: int, volume: bool) -> tuple[Module, ...]:
    """The four modules that every pipeline begins with: each channel under the name ``Channel<number>``."""
    kind, scaling = "Grayscale image", "Image metadata"
    assigned = [
        (
            ("Rule", RULES.format(f"-channel{c}.")),
            ("Image", f"Channel{c}"),
            ("Objects", "Cell"),
            ("Type", kind),
            ("Range", scaling),
            ("", 255.0),
        )
        for c in range(channels)
    ]
    types: Settings = (
        *(
            ("Assign a name to", "Images matching rules"),
            ("Type", kind),
            ("Name", "Unused"),
            ("Match metadata", "[]"),
            ("Matching", "Order"),
        ),
        *(("Range", scaling), ("Assignments", channels), ("Single images", 0), ("Maximum", 255.0), ("3D", "Yes" if volume else "No")),
        *(("x", 1.0), ("y", 1.0), ("z", 1.0)),
        *(entry for group in assigned for entry in group),
    )
    metadata: Settings = (
        *(("Extract", "No"), ("Type", "Text"), ("Types", "{}"), ("Count", 1), ("Method", "Extract from file/folder names")),
        *(
            ("Source", "File name"),
            ("File", "^(?P<Name>.*)"),
            ("Folder", "(?P<Date>.*)$"),
            ("From", "All images"),
            ("Rule", RULES.format("")),
        ),
        *(("Location", "Elsewhere...|"), ("Match", "[]"), ("Case", "No"), ("Name", "None"), ("Cached", "No")),
    )
    return (
        Module(name="Images", revision=2, settings=(("Filter", "Images only"), ("Rule", "and (extension does isimage)"))),
        Module(name="Metadata", revision=6, settings=metadata),
        Module(name="NamesAndTypes", revision=8, settings=types),
        Module(name="Groups", revision=2, settings=(("Group", "No"), ("Count", 1), ("Category", "None"))),
    )


def _zooready(task: str, channels: int, bundle: str, images: Sequence[tuple[str, str, str]]) -> Module:
    """The plugin, with its settings as people would choose them for raw images; nothing is cut into tiles or resampled."""
    chosen = [pair for choice, name, _ in images for pair in (("Output", choice), ("Image", name))]
    settings = (
        *(("Input", "Channel0"), ("Folder", "Default Input Folder|"), ("Bundle", bundle), ("Task", task), ("Objects", "Objects")),
        *(("Objects to classify", "None"), ("Scores", "Out"), ("Piece", 0), ("Hide", "No"), ("Raw", "Yes")),
        *(("Intensities", "As the network gives them"), ("Side", 0), ("Overlap", 0.0), ("Pixel size", 0.0), ("Outside", "Warn")),
        *(("GPU", "No"), ("Width", 0.0), ("NA", 0.0), ("Wavelength", 0.0)),
        *(("Images", "Yes" if images else "No"), ("Channels", channels - 1), ("Count", len(images))),
        *(("Channel", f"Channel{c}") for c in range(1, channels)),
        *chosen,
    )
    return Module(name="RunZooready", revision=2, settings=settings)


def _saved(image: str, suffix: str, depth: str) -> Module:
    settings = (
        *(("Type", "Image"), ("Image", image), ("Names", "From image filename"), ("Prefix", "Channel0"), ("Single", "None"), ("Digits", 4)),
        *(("Append", "Yes"), ("Suffix", suffix), ("Format", "tiff"), ("Location", "Default Output Folder|"), ("Depth", depth)),
        *(("Overwrite", "Yes"), ("When", "Every cycle"), ("Record", "No"), ("Subfolders", "No"), ("Base", "Elsewhere...|")),
        *(("Series", "T (Time)"), ("Compress", "No")),
    )
    return Module(name="SaveImages", revision=16, settings=settings)


def _table() -> Module:
    settings = (
        *(("Delimiter", 'Comma (",")'), ("Metadata", "No"), ("Names", "No"), ("Choose", "No"), ("Means", "No"), ("Medians", "No")),
        *(("Deviations", "No"), ("Location", "Default Output Folder|"), ("GCT", "No"), ("Rows", "Metadata"), ("Image", "None")),
        *(("Identifier", "None"), ("All", "Yes"), ("Press", ""), ("NaN", "NaN"), ("Prefix", "No"), ("Text", ""), ("Overwrite", "Yes")),
        *(("Data", "Do not use"), ("Combine", "No"), ("File", "DATA.csv"), ("Automatic", "Yes")),
    )
    return Module(name="ExportToSpreadsheet", revision=13, settings=settings)
