"""``python -m zooready`` is the command ``zooready``.

May import: cli
"""

from zooready.cli import entry

if __name__ == "__main__":
    entry()
