"""Fixtures for all tests; each kind lives in a file of its own."""

from engines import engines

__all__ = ["engines"]
