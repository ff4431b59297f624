"""The JVM: a runtime, the engines' jars, and the child process that runs them.

In: a weight file and images (arrays, or TIFFs that ImageJ opens). Out: float32 arrays, seconds, versions.
The only download of the whole package is :func:`install`.

May import: nothing
"""

from zooready.java.child import JavaResult, run
from zooready.java.engines import Manifest, manifest, missing, verify, versions
from zooready.java.fetching import install
from zooready.java.jars import ENGINES, Engine

__all__ = ["ENGINES", "Engine", "JavaResult", "Manifest", "install", "manifest", "missing", "run", "verify", "versions"]
