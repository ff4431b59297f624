"""DeepImageJ in Fiji: its written rules, a Fiji folder, and the program itself (:mod:`zooready.consumers.deepimagej.in_fiji`)."""
