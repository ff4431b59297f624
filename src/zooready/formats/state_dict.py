"""State dict: the weights as a file that `torch.load(weights_only=True)` reads."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from zooready.errors import InputInvalid
from zooready.formats.versions import torch_version
from zooready.records import Weights

if TYPE_CHECKING:
    from torch import Tensor, nn


def write(module: nn.Module, path: Path) -> Weights:
    """Write the module's state dict: contiguous CPU tensors of the dtypes that they have; the same weights give the same bytes.

    Raises
    ------
    InputInvalid
        The state dict holds something else than tensors, which a weights-only reader refuses.
    """
    import torch

    state = module.state_dict()
    strangers = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if strangers:
        raise InputInvalid(f"state dict entries {strangers} are not tensors: keep them out of get_extra_state(), or register buffers.")
    plain = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in state.items()}
    with TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / "weights"  # the name of the file becomes the name of the folder inside
        torch.save(plain, draft)
        draft.replace(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    count = sum(value.numel() for name, value in module.named_parameters())
    return Weights(
        format="state_dict", path=path, sha256=digest, details={"torch": torch_version(), "tensors": len(plain), "parameters": count}
    )


def load(path: Path) -> dict[str, Tensor]:
    """Read a state dict, weights only: no code of the file is run.

    Raises
    ------
    InputInvalid
        The file is no weights-only state dict of tensors.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle, zip, EOF and runtime errors, depending on where the file is broken
        raise InputInvalid(f"{path.name} is no weights-only state dict ({str(error).splitlines()[0]}): write it with zooready.") from None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputInvalid(f"{path.name} holds {type(state).__name__}, not a state dict of tensors: save module.state_dict().")
    return dict(state)
