"""Who has no Java engines skips these tests, with the reason; under CI=true that is a failure."""

import os

import pytest

from zooready import java


@pytest.fixture(scope="session")
def engines():
    reason = java.missing()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
