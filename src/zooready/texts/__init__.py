"""Text files that people write and strangers send, as plain data.

In: a YAML file. Out: its content, the same for every reader.

May import: nothing
"""
