"""Operations are seen one by one, and PyTorch's compiler stays out of it."""

import subprocess
import sys

import torch

from zooready.formats.watching import watched


def test_every_operation_is_seen_and_may_give_another_result():
    seen = []

    def doubled(operation, arguments, named):
        seen.append((operation._schema.name, named))
        return 2 * operation(*arguments, **named)

    with watched(doubled):
        result = torch.tensor(3.0).add(torch.tensor(4.0), alpha=2)
    assert seen[-1] == ("aten::add", {"alpha": 2})
    assert result.item() % 2 == 0
    assert result.item() > 11


def test_the_compiler_is_not_imported_for_it():
    code = (
        "import sys, torch; from zooready.formats.watching import watched\n"
        "with watched(lambda operation, arguments, named: operation(*arguments, **named)): torch.ones(2) + 1\n"
        "print('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["False"]
