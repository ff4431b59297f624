"""Who is tested must be said: ZOOREADY_CONSUMERS names programs whose tests fail, instead of being skipped, where they cannot run."""

import os

import pytest

from zooready.consumers import CONSUMERS


def pytest_configure(config):
    unknown = [name for name in asked() if name not in CONSUMERS]
    if unknown:
        raise pytest.UsageError(f"ZOOREADY_CONSUMERS names {', '.join(unknown)}: choose from {', '.join(CONSUMERS)}.")


def asked():
    """The names, in order."""
    return [name.strip() for name in os.environ.get("ZOOREADY_CONSUMERS", "").split(",") if name.strip()]


def need(consumer, reason):
    """Go on without a reason; else skip with it, or fail if the consumer was named."""
    if reason and consumer in asked():
        pytest.fail(f"{consumer} is named in ZOOREADY_CONSUMERS: {reason}")
    if reason:
        pytest.skip(f"{consumer} did not run: {reason}")
