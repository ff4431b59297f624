"""Keep a TorchScript file from being compiled anew for every size of an image.

The fuser of PyTorch's TorchScript engines joins neighbouring elementwise operations and writes machine code for them, for the second
image of every size and, from the third size on, for every image. It joins only what follows each other directly, and does not know
``aten::alias``, which gives its tensor again: with one behind every operation, there is nothing to join. The numbers stay.
"""

from __future__ import annotations

from typing import Any


def unfused(scripted: Any) -> Any:
    """The same script module, its graphs changed in place: every operation that gives one tensor is followed by ``aten::alias``."""
    import torch

    def separate(graph: Any, block: Any) -> None:
        for node in list(block.nodes()):
            for inner in node.blocks():
                separate(graph, inner)
            if not node.kind().startswith("aten::") or node.outputsSize() != 1 or not isinstance(node.output().type(), torch.TensorType):
                continue
            output = node.output()
            again = graph.create("aten::alias", [output])
            again.insertAfter(node)
            again.output().setType(output.type())
            output.replaceAllUsesAfterNodeWith(again, again.output())

    for part in scripted.modules():
        for name in part._c._method_names():
            graph = part._c._get_method(name).graph
            if "prim::CallFunction" in str(graph):  # functions have graphs of their own, out of reach
                torch._C._jit_pass_inline(graph)
            separate(graph, graph)
            graph.lint()
    return scripted
