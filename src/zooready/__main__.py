"""``python -m zooready`` is the command ``zooready``."""

from zooready.cli import entry

if __name__ == "__main__":
    entry()
