"""Public data sets that the published networks were trained on: their contents, addresses, folder layouts and readers.

``confirmed`` names the facts about a set that are certain: a folder that contradicts one of these has a fault, and one that contradicts
another fact only gets a note. Addresses come from programs that download the files; none was opened for this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from zooready.data import layouts
from zooready.data.layouts import Layout
from zooready.errors import InputInvalid

Fact = Literal["classes", "images", "size", "lists"]
Finder = Callable[[Path, tuple[str, ...], Mapping[str, str]], Layout]


@dataclass(frozen=True, kw_only=True)
class PublicSet:
    """One data set.

    ``classes`` are empty for pairs of images. ``size`` is (y, x) px, ``images`` the number of images, ``lists`` the lengths of published
    splits; None and empty where unknown. ``other_names`` of classes are as :func:`zooready.data.layouts.key` returns them. ``claims`` are
    the published accuracies of the paper's network by split, percent correct.
    """

    name: str
    title: str
    about: str
    layout: str
    addresses: tuple[str, ...] = ()
    licence: str = "not stated where the files are; ask the authors before passing them on"
    cite: tuple[str, str] = ("", "")  # text, DOI (empty where it was not looked up)
    classes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ("protein",)
    has_more: bool = False
    size: tuple[int, int] | None = None
    images: int | None = None
    lists: Mapping[str, int] = field(default_factory=dict)
    confirmed: frozenset[Fact] = frozenset()
    other_names: Mapping[str, str] = field(default_factory=dict)
    find: Finder = layouts.plain
    claims: Mapping[str, float] = field(default_factory=dict)
    remark: str = ""

    def explained(self) -> list[str]:
        """Its contents, addresses, folder layout and use, as lines to print."""
        known = {"images": f"{self.images} images", "size": f"{self.size[1]}x{self.size[0]} px" if self.size else ""}
        facts = [f"{words}{'' if fact in self.confirmed else ' (not confirmed)'}" for fact, words in known.items() if getattr(self, fact)]
        training = f"protocol {self.name} DIR, with" if self.classes else "train mrbcr, with DIR as data and"
        lists = [f"{name} {count}" for name, count in self.lists.items()]
        return [
            f"{self.title}: {self.about}",
            *([f"Classes: {', '.join(self.classes)}. Channels: {', '.join(self.channels)}."] if self.classes else []),
            *([f"{'; '.join(facts)}{'; lists: ' + ', '.join(lists) if lists else ''}."] if facts else []),
            "",
            "Addresses that other programs download it from (not checked by zooready):"
            if self.addresses
            else "No address is known; ask the authors.",
            *(f"  {address}" for address in self.addresses),
            f"Licence: {self.licence}.",
            f"Cite: {self.cite[0]}{f' doi:{self.cite[1]}' if self.cite[1] else ''}",
            "",
            "Folder layout:",
            *(f"  {line}" for line in self.layout.splitlines()),
            "",
            f"Examine it: zooready data {self.name} DIR",
            f"Train on it: zooready {training} a folder as out",
            *([f"The paper claims: {self.claimed()}. {self.remark}".rstrip()] if self.claims else []),
        ]

    def claimed(self) -> str:
        """The paper's accuracies, as text."""
        return ", ".join(f"{split} {percent:g} %" for split, percent in self.claims.items())


PLAIN_TREE = "DIR/<class>/*.tif        TIFF, PNG or JPEG, one folder per class"
NPZ_TREE = (
    "DIR/train.npz   DIR/val.npz   DIR/test.npz        or in folders train/, val/, test/\n"
    "each with the arrays w (blurred) and gt (sharp), (n, y, x) or (n, y, x, 1); the names low and o work as well"
)
LOCATE_NAMES = {
    **dict.fromkeys(("actincytoskeleton", "cytoskeleton"), "actin"),
    "endoplasmicreticulum": "er",
    "mitochondrion": "mitochondria",
    **dict.fromkeys(("nuclear", "nucleardapi", "nuclei", "nucleardna"), "nucleus"),
    "plasmamembrane": "pm",
    "tubulin": "microtubule",
}
LOCATE_CITE = (
    "Hamilton NA, Pantelic RS, Hanson K, Teasdale RD. Fast automated cell phenotype image classification. BMC Bioinformatics 8:110, 2007.",
    "10.1186/1471-2105-8-110",
)
LOCATE_CLASSES = ("actin", "endosome", "er", "golgi", "lysosome", "microtubule", "mitochondria", "nucleus", "peroxisome", "pm")
LOCATE_TREE = "DIR/<number>_<number>_NOMX_<class>_myc.tif and ..._dapi.tif, flat, as SubCellLoc.zip unpacks\nor " + PLAIN_TREE
BCR_CITE = (
    "Li R, Kudryashev M, Yakimovich A. Solving the inverse problem of microscopy deconvolution with a residual "
    "Beylkin-Coifman-Rokhlin neural network. ECCV 2024.",
    "10.1007/978-3-031-73226-3_22",
)

HELA = PublicSet(
    name="hela",
    title="2D HeLa",
    about="One HeLa cell per image, ten stains: actin, DNA, endosomes, ER, two Golgi proteins (giantin, GPP130), lysosomes, microtubules, "
    "mitochondria, nucleoli.",
    layout=PLAIN_TREE + ", as hela.tar.gz unpacks\nor DIR/<antibody>/prot/* and dna/*, as the Murphy lab's archive unpacks",
    addresses=(
        "http://murphylab.web.cmu.edu/data/HeLa10Class2DImages_16bit_dna_protein_png.tgz",
        "https://ome.grc.nia.nih.gov/iicbu2008/hela.tar.gz",
    ),
    cite=(
        "Boland MV, Murphy RF. A neural network classifier capable of recognizing the patterns of all major subcellular structures in "
        "fluorescence microscope images of HeLa cells. Bioinformatics 17:1213, 2001.",
        "",
    ),
    classes=("actin", "dna", "endosome", "er", "golgia", "golgpp", "lysosome", "microtubules", "mitochondria", "nucleolus"),
    size=(382, 382),
    images=862,
    confirmed=frozenset({"classes"}),
    other_names={"giantin": "golgia", "gpp130": "golgpp", "tubulin": "microtubules", "nucleoli": "nucleolus", "mito": "mitochondria"},
    find=layouts.hela,
    claims={"10-fold": 93.0, "90-10": 93.0, "80-20": 91.0, "70-30": 90.0, "60-40": 88.4, "50-50": 87.5},
    remark="The paper's numbers for shares were read from a graph, so they are approximate; they are means of ten runs.",
)
CHO = PublicSet(
    name="cho",
    title="CHO",
    about="Chinese hamster ovary cells, five stains: giantin (Golgi), Hoechst (DNA), LAMP2 (lysosomes), NOP4 (nucleoli), tubulin.",
    layout=PLAIN_TREE + ", named giantin, hoechst, lamp2, nop4, tubulin\n(or golgi, dna, lysosome, nucleolus, cytoskeleton)",
    addresses=(
        "http://murphylab.web.cmu.edu/data/cho/giantin.tgz (also hoechst.tgz, lamp2.tgz, nop4.tgz, tubulin.tgz)",
        "http://ome.grc.nia.nih.gov/iicbu2008/cho.tar.gz",
    ),
    cite=(
        "Boland MV, Markey MK, Murphy RF. Automated recognition of patterns characteristic of subcellular structures in fluorescence "
        "microscopy images. Cytometry 33:366, 1998.",
        "",
    ),
    classes=("golgi", "dna", "lysosome", "nucleolus", "cytoskeleton"),
    size=(382, 512),
    images=327,
    confirmed=frozenset({"classes"}),
    other_names={
        "giantin": "golgi",
        "giant": "golgi",
        "hoechst": "dna",
        "lamp2": "lysosome",
        "nop4": "nucleolus",
        "tubulin": "cytoskeleton",
    },
    claims={"10-fold": 100.0, "90-10": 100.0, "80-20": 99.3, "70-30": 98.9, "60-40": 99.0},
    remark="The paper's own confusion matrix for CHO has 163 of 164 right (99.4 %), on half as many images as the set has.",
)
ENDOGENOUS = PublicSet(
    name="locate-endogenous",
    title="LOCATE endogenous",
    about="Fields of cells with an endogenous protein, ten compartments.",
    layout=LOCATE_TREE,
    addresses=("http://locate.imb.uq.edu.au/info_files/SubCellLoc.zip (folder SubCellLoc/Endogenous)",),
    cite=LOCATE_CITE,
    classes=LOCATE_CLASSES,
    size=(512, 768),
    images=502,
    confirmed=frozenset({"classes"}),
    other_names=LOCATE_NAMES,
    find=layouts.locate,
    claims={"10-fold": 99.8, "90-10": 99.8, "80-20": 99.7, "70-30": 99.7, "60-40": 99.7},
)
TRANSFECTED = replace(
    ENDOGENOUS,
    name="locate-transfected",
    title="LOCATE transfected",
    about="Fields of cells with a transfected, tagged protein, eleven compartments.",
    addresses=("http://locate.imb.uq.edu.au/info_files/SubCellLoc.zip (folder SubCellLoc/Transfected)",),
    classes=(LOCATE_CLASSES[0], "cytoplasm", *LOCATE_CLASSES[1:]),
    images=553,
    other_names={**LOCATE_NAMES, "cytosol": "cytoplasm", "cytoplasmic": "cytoplasm"},
    claims={"10-fold": 99.6, "90-10": 99.6, "80-20": 99.2, "70-30": 99.3, "60-40": 97.9},
)
YEAST = PublicSet(
    name="yeast",
    title="Yeast (DeepYeast)",
    about="One yeast cell per image, the cytosol in mCherry and a protein in GFP, twelve compartments.",
    layout="DIR/main/plate01/*.png ...   DIR/HOwt_train.txt   DIR/HOwt_val.txt   DIR/HOwt_test.txt\nor " + PLAIN_TREE,
    addresses=(
        "https://kodu.ut.ee/~leopoldp/2016_DeepYeast/data/main.tar.gz (unpack into DIR/main)",
        "https://github.com/tanelp/deepyeast (the three lists, in deepyeast/data)",
    ),
    licence="the lists: MIT; the images: not stated, and their authors ask for a citation of Chong et al., Cell 161:1413, 2015",
    cite=(
        "Pärnamaa T, Parts L. Accurate classification of protein subcellular localization from high-throughput microscopy images using "
        "deep learning. G3 7:1385, 2017.",
        "",
    ),
    classes=(
        "cell periphery",
        "cytoplasm",
        "endosome",
        "er",
        "golgi",
        "mitochondrion",
        "nuclear periphery",
        "nucleolus",
        "nucleus",
        "peroxisome",
        "spindle pole",
        "vacuole",
    ),
    channels=("mCherry", "GFP"),
    has_more=True,
    size=(64, 64),
    images=90_000,
    lists={"train": 65_000, "val": 12_500, "test": 12_500},
    confirmed=frozenset({"classes", "images", "size", "lists"}),
    find=layouts.yeast,
    claims={"published": 91.0},
    remark="The paper's 91.0 % is contradicted by its own confusion matrix: 10,022 of 12,500 right, 80.2 %.",
)


def _pairs(name: str, title: str, about: str, addresses: tuple[str, ...], licence: str = PublicSet.licence) -> PublicSet:
    return PublicSet(name=name, title=title, about=about, layout=NPZ_TREE, addresses=addresses, licence=licence, cite=BCR_CITE, channels=())


SETS: Mapping[str, PublicSet] = {
    public_set.name: public_set
    for public_set in (
        HELA,
        CHO,
        ENDOGENOUS,
        TRANSFECTED,
        YEAST,
        _pairs("storm", "dSTORM and wide-field", "Wide-field images, and dSTORM images of the same regions as truth.", ()),
        _pairs(
            "confocal",
            "Wide-field and confocal",
            "Wide-field images, and confocal images of the same regions as truth; made by the authors of m-rBCR.",
            ("https://rodare.hzdr.de/record/2668",),
            "as the record says",
        ),
        _pairs("imagenet", "ImageNet, blurred", "Photographs blurred by a simulated microscope, and the photographs as truth.", ()),
        _pairs(
            "biosr",
            "BioSR, blurred",
            "Images of BioSR blurred by a simulated microscope, and the originals as truth.",
            ("https://github.com/leeroyhannover/m-rBCR (100 test images: data/test/test_biosr_100_teaser.npz)",),
            "the repository: MIT; the images: those of BioSR",
        ),
        _pairs(
            "debcr",
            "DeBCR's sample data",
            "Four published data sets as npz by the authors of m-rBCR's follow-up, with arrays low and gt.",
            ("https://zenodo.org/doi/10.5281/zenodo.12626121",),
            "as the record says",
        ),
    )
}


def named_set(name: str) -> PublicSet:
    """The set of that name.

    Raises
    ------
    InputInvalid
        There is none; the message lists those that exist.
    """
    if name not in SETS:
        raise InputInvalid(f"no data set is called {name!r}: choose from {', '.join(SETS)}, or give the path of your own folder.")
    return SETS[name]
