"""Fixtures for all tests; each kind lives in a file of its own."""

from asked import pytest_configure
from engines import engines

__all__ = ["engines", "pytest_configure"]
