"""A family becomes a checkpoint: losses, metrics, loop.

In: a Family and a folder for the run. Out: a Checkpoint. Needs Lightning, which is imported only when training starts.

May import: images, data
"""
