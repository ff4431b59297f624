"""ONNX Runtime as browsers have it: the packages that a page needs, in the cache, and Node.js, which runs the same engine.

In: ONNX weights and images. Out: outputs, from a child process.

May import: processes, java
"""
