"""One file per task: network, data, loss and tensors together.

May import: nets, simulate, data, training
"""
