"""A family becomes a checkpoint: losses, metrics, loop.

May import: records, data
"""
