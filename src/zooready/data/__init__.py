"""Files, arrays or simulations become pairs for training.

May import: records, pictures, simulate
"""
