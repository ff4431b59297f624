"""What can go wrong, in six words.

May import: nothing
"""


class ZooreadyError(Exception):
    """Any failure that zooready explains; the message says what happened, why, and what to do."""


class BundleInvalid(ZooreadyError):
    """A bundle is broken, unsafe, or breaks a rule that its readers depend on."""


class OutputsDiffer(ZooreadyError):
    """Two ways to compute the same output disagree by more than the tolerance."""


class ConsumerMissing(ZooreadyError):
    """A program or engine that was asked for is not on this machine."""


class ConsumerFailed(ZooreadyError):
    """A program or engine crashed, hung, or returned nothing usable."""


class InputInvalid(ZooreadyError):
    """An image, a folder, a network or a setting that a person gave cannot be used."""
