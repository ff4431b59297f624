"""Where the code is that builds a bundle's network from its state dict, in format 0.5 and 0.4 alike."""

from __future__ import annotations

from collections.abc import Mapping

from zooready.formats.state_dict import Builder
from zooready.records import Bundle


def builder_of(bundle: Bundle) -> Builder | None:
    """What the description says of its state dict; None if it names no code, or a file that is not inside."""
    entry = bundle.rdf["weights"]["pytorch_state_dict"]
    given = entry.get("architecture")
    if isinstance(given, Mapping):
        source, module, name, kwargs = given.get("source"), given.get("import_from"), given.get("callable"), given.get("kwargs")
    else:  # 0.4: "file.py:Class" or "package.module.Class"
        path, _, name = str(given or "").rpartition(":" if ":" in str(given) else ".")
        source, module, kwargs = (path, None, entry.get("kwargs")) if path.endswith(".py") else (None, path, entry.get("kwargs"))
    file = bundle.folder / source if source and (bundle.folder / source).resolve().is_relative_to(bundle.folder) else None
    if not name or not (file or module):
        return None
    return Builder(callable=str(name), file=file, module=str(module or ""), kwargs=dict(kwargs or {}))
