"""The child: ``python -m zooready.consumers.deepimagej.fiji_worker JOB.json`` runs a macro without a screen, once an argument.

Writes ``result.json`` beside the job: what each run returned, as text.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from zooready.processes import end_with_parent


def main(path: Path) -> None:
    """Do the job."""
    import jpype

    end_with_parent()
    job = json.loads(path.read_text(encoding="utf-8"))
    jpype.startJVM(job["jvm"], *job["options"], classpath=job["class_path"])
    jpype.JClass("net.imagej.patcher.LegacyInjector").preinit()  # before any class of ij: macros need no screen then
    imagej = jpype.JClass("ij.IJ")
    answers = [str(imagej.runMacroFile(job["macro"], argument)) for argument in job["arguments"]]
    partial = path.with_name("result.partial")
    partial.write_text(json.dumps(answers), encoding="utf-8")
    partial.replace(path.with_name("result.json"))
    sys.stdout.flush()
    os._exit(0)  # threads that plugins left behind would keep the JVM


if __name__ == "__main__":
    main(Path(sys.argv[1]))
