"""Training: a family becomes a checkpoint.

In: a Family and a folder for the run. Out: a Checkpoint. ``loop`` and ``callbacks`` need Lightning; import them only to train.

May import: texts, processes, nets, images, data
"""
