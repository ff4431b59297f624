"""Where the code is that builds a bundle's network from its state dict."""

from __future__ import annotations

from zooready.formats.state_dict import Builder
from zooready.records import Bundle


def builder_of(bundle: Bundle) -> Builder | None:
    """What the description says of its state dict; None if it names no code, or a file that is not inside."""
    architecture = bundle.weights["pytorch_state_dict"].architecture
    if architecture is None:
        return None
    source = bundle.folder / architecture.source if architecture.source else None
    file = source if source and source.resolve().is_relative_to(bundle.folder) else None
    if not architecture.callable or not (file or architecture.module):
        return None
    return Builder(callable=architecture.callable, file=file, module=architecture.module, kwargs=dict(architecture.kwargs))
