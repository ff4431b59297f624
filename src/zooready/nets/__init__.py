"""Networks: tensors in, tensors out. They read no files. Each module is self-contained, because its source text is part of bundles.

May import: nothing
"""
