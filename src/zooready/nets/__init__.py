"""Networks: tensors in, tensors out. They know no files, and each file stands alone, because it travels inside bundles.

May import: nothing
"""
