"""Fixtures for all tests; each kind lives in a file of its own."""

from asked import pytest_configure
from engines import engines, no_java_no_compiler

__all__ = ["engines", "no_java_no_compiler", "pytest_configure"]
