"""A recipe file: how a person wants a family to be trained, in YAML. Keys that are not known are faults, never ignored."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
)
from pydantic_core import ErrorDetails

from zooready.errors import InputInvalid, meant, shown
from zooready.records import Augmentation, Family, Recipe
from zooready.texts.plain_yaml import read_yaml

EXAMPLE = (  # one line, so that the fault before it stays in sight
    "{steps: 1200, batch: 4, optimizer: Muon, learning_rate: 0.001, "
    "augmentation: {zoom: [0.7, 1.4], blur_px: 1.5, noise: 0.1, light: 0.5, gamma: 0.3, share: 0.5}}"
)


def _in_order(zoom: tuple[float, float]) -> tuple[float, float]:
    if zoom[0] > zoom[1]:
        raise ValueError("give the smaller factor first")
    return zoom


Factor = Annotated[float, Field(ge=0.1, le=10)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=False, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value(cls, value: object) -> object:
        """``true`` is no number, though Python counts it as 1."""
        if any(isinstance(item, bool) for item in (value if isinstance(value, list) else [value])):
            raise ValueError("a number is needed")
        return value


class _Augmentation(_Strict):
    """The fields of :class:`zooready.records.Augmentation`, with their bounds."""

    zoom: Annotated[tuple[Factor, Factor], AfterValidator(_in_order)] = (1.0, 1.0)
    blur_px: Annotated[float, Field(ge=0, le=20)] = 0.0
    noise: Annotated[float, Field(ge=0, le=2)] = 0.0
    light: Annotated[float, Field(ge=0, le=1)] = 0.0
    gamma: Annotated[float, Field(ge=0, le=2)] = 0.0
    share: Annotated[float, Field(ge=0, le=1)] = 0.5


class _Recipe(_Strict):
    """The fields of :class:`zooready.records.Recipe`; what is left out is the family's."""

    steps: PositiveInt | None = None
    batch: PositiveInt | None = None
    optimizer: Literal["AdamW", "Muon"] | None = None
    learning_rate: PositiveFloat | None = None
    weight_decay: NonNegativeFloat | None = None
    clip: PositiveFloat | None = None
    freeze: Annotated[float, Field(ge=0, lt=1)] | None = None
    augmentation: _Augmentation | None = None


def read_recipe(path: Path) -> dict[str, Any]:
    """What a recipe file states, by the names of :class:`zooready.records.Recipe`.

    Raises
    ------
    InputInvalid
        The file is missing or no YAML that every program reads alike (:func:`zooready.texts.plain_yaml.read_yaml`), a key is not
        known, or a value cannot be used; all faults in one message.
    """
    try:
        content = read_yaml(path)
    except (OSError, InputInvalid) as error:
        raise InputInvalid(f"cannot read {path}: {str(error).rstrip('.')}. A complete one: {EXAMPLE}") from None
    try:
        recipe = _Recipe.model_validate(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {_reason(fault)}" for fault in error.errors()]
        raise InputInvalid(f"{path}: {'; '.join(faults)}. A complete one: {EXAMPLE}") from None
    stated = {key: value for key, value in recipe.model_dump(exclude={"augmentation"}).items() if value is not None}
    return stated | ({"augmentation": Augmentation(**recipe.augmentation.model_dump())} if recipe.augmentation else {})


def _reason(fault: ErrorDetails) -> str:
    """What is wrong with one key or value."""
    if fault["type"] != "extra_forbidden":
        return f"{fault['msg']}, got {shown(fault['input'])}"
    of = _Augmentation if fault["loc"][0] == "augmentation" and len(fault["loc"]) > 1 else _Recipe
    return "a recipe has no such key." + meant(str(fault["loc"][-1]), of.model_fields)


def with_recipe(family: Family, stated: dict[str, Any]) -> Family:
    """The family with what a recipe states in place of its own."""
    return replace(family, training=replace(family.training, recipe=replace(family.training.recipe, **stated)))


def recipe_of(family: Family, **given: Any) -> Recipe:
    """The family's recipe, with ``steps``, ``batch``, ``learning_rate``, ``adversary`` and ``freeze`` replaced where they are not None.

    Raises
    ------
    InputInvalid
        A number of steps or pairs below 1, a rate that is not above 0, a weight below 0 or for a family without an adversary, or a share
        that is not below 1.
    """
    changed = {name: value for name, value in given.items() if value is not None}
    for name in ("steps", "batch"):
        if changed.get(name, 1) < 1:
            raise InputInvalid(f"{name}={changed[name]}: give a whole number from 1.")
    if not 0 < (rate := changed.get("learning_rate", 1e-3)) < math.inf:
        raise InputInvalid(f"learning_rate={rate}: give a number above 0, such as 1e-3.")
    adversary = changed.get("adversary")
    if adversary is not None and family.training.adversary is None:
        raise InputInvalid(f"adversary={adversary}: {family.name} has no adversary to be trained against. Leave adversary out.")
    if adversary is not None and not 0 <= adversary < math.inf:
        raise InputInvalid(f"adversary={adversary}: give the weight of the adversarial term, such as 0.01, or 0 for none.")
    if not 0 <= (share := changed.get("freeze", 0.0)) < 1:
        raise InputInvalid(f"freeze={share}: give the share of the steps in which the encoder is held, from 0 to below 1, such as 0.3.")
    return replace(family.training.recipe, **changed)
