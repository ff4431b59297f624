"""The Java virtual machine (JVM): a runtime, the engines' jar files, and the child process that runs them.

In: a weight file and images (arrays, or TIFFs that ImageJ opens). Out: float32 arrays, seconds, versions.
:func:`install` is the only function of the package that downloads files.

May import: processes
"""

from zooready.java.child import JavaResult, race, run
from zooready.java.engines import Manifest, manifest, missing, verify, versions
from zooready.java.fetching import install
from zooready.java.jars import ENGINES, EXTRA, Engine

__all__ = ["ENGINES", "EXTRA", "Engine", "JavaResult", "Manifest", "install", "manifest", "missing", "race", "run", "verify", "versions"]
