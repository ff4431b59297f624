"""Small plates as OME-Zarr holds them, written by hand after the specification."""

import numpy as np
import zarr

WELLS = ("A/1", "A/2", "B/1", "B/2")
FIELDS = ("0", "1")


def spots(count, rng, size=(60, 80)):
    """(y, x) uint16: so many separate squares of 6 px, brighter than 300, on a background below 250."""
    image = rng.poisson(150, size).astype(np.uint16)
    places = rng.choice(size[0] // 10 * (size[1] // 10), count, replace=False)
    for place in places:
        y, x = divmod(int(place), size[1] // 10)
        image[10 * y + 2 : 10 * y + 8, 10 * x + 2 : 10 * x + 8] = 900
    return image


def write_plate(path, image_of, *, version="0.4"):
    """A plate of 2 x 2 wells with two fields each; ``image_of(well, field)`` is (y, x)."""
    is_old = version == "0.4"

    def said(group, key, stated):
        group.attrs.update({key: stated | {"version": version}} if is_old else {"ome": {key: stated, "version": version}})

    root = zarr.open_group(path, mode="w", zarr_format=2 if is_old else 3)
    places = [{"path": well, "rowIndex": "AB".index(well[0]), "columnIndex": int(well[-1]) - 1} for well in WELLS]
    said(root, "plate", {"rows": [{"name": "A"}, {"name": "B"}], "columns": [{"name": "1"}, {"name": "2"}], "wells": places})
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0.3, 0.3]}]}]
    for well in WELLS:
        group = root.require_group(well)
        said(group, "well", {"images": [{"path": field} for field in FIELDS]})
        for field in FIELDS:
            image = group.create_group(field)
            image.create_array("0", data=image_of(well, field), chunks=(32, 32))
            scales = [{"axes": axes, "datasets": datasets, **({"version": version} if is_old else {})}]
            image.attrs.update({"multiscales": scales} if is_old else {"ome": {"multiscales": scales, "version": version}})
    return path
