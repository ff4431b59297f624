"""CellProfiler: the text of its pipelines, and the program itself (:mod:`zooready.consumers.cellprofiler.headless`)."""
