"""Run a bundle on an image from Python, with ImageJ and DeepImageJ, and get arrays with named axes.

Needs pyimagej (pip install pyimagej), and a Fiji with DeepImageJ into which the bundle was installed:

    zooready install nuclei.zip --fiji /path/to/Fiji.app
    python run_bundle.py /path/to/Fiji.app nuclei image.tif results

The last argument is the folder for the results: TIFFs, and tables for scores. In your own script, call start() once, and run()
for each image.
"""

import argparse
import os
import re
from pathlib import Path


def start(fiji):
    """An ImageJ2 gateway of that Fiji, without windows. Call it once: Python can start Java only once."""
    import imagej
    import scyjava

    fiji = Path(fiji).absolute()
    scyjava.config.set_java_constraints(fetch="auto")  # uses the installed Java, and downloads one only if there is none
    os.chdir(fiji)  # DeepImageJ looks for its engines below the folder in which Java starts
    scyjava.config.add_option(f"-Dij1.plugin.dirs={fiji / 'plugins'}")
    if any((fiji / "jars").glob("imglib2-imglyb-*.jar")):
        scyjava.config.endpoints.clear()  # otherwise pyimagej downloads that jar
    return imagej.init(str(fiji), mode="headless")


def run(ij, model, image, results):
    """The outputs of an installed model for an image file: {output id: xarray with named axes}; files stay in `results`.

    `model` is the name of a folder below Fiji's models.
    """
    image, results = Path(image).absolute(), Path(results).absolute()
    results.mkdir(parents=True, exist_ok=True)
    macro = Path.cwd() / "models" / model / f"{model}.ijm"
    if not macro.is_file():
        raise FileNotFoundError(f"{macro} is not there: run zooready install first.")
    before = {path: path.stat().st_mtime_ns for path in results.glob("*.tif")}
    answer = ij.IJ.runMacroFile(str(macro), f"{image}|{results}")
    stem = re.sub(r"(?<=.)\.ome$", "", image.stem.replace(" ", "_"), flags=re.IGNORECASE)
    files = [
        path
        for path in sorted(results.glob(f"{stem}_*.tif"))
        if not path.stem.endswith("-outlined") and before.get(path) != path.stat().st_mtime_ns
    ]
    if str(answer) != "OK" or not files:  # DeepImageJ raises no error in Python; only its files show success
        raise RuntimeError(f"DeepImageJ wrote no results for {image.name} (the macro returned {answer}): see what it printed above.")
    return {path.stem.removeprefix(f"{stem}_"): ij.py.from_java(ij.IJ.openImage(str(path))) for path in files}


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fiji", type=Path, help="Fiji's folder")
    parser.add_argument("model", help="name of the folder below Fiji's models")
    parser.add_argument("image", type=Path, help="TIFF")
    parser.add_argument("results", type=Path, help="folder for the results")
    options = parser.parse_args()
    image, results = options.image.absolute(), options.results.absolute()
    ij = start(options.fiji)
    for name, array in run(ij, options.model, image, results).items():
        sizes = dict(zip(array.dims, array.shape, strict=True))
        print(f"{name}: {sizes} {array.dtype}, {float(array.min()):g} to {float(array.max()):g}")  # noqa: T201


if __name__ == "__main__":
    main()
