"""The errors that zooready raises.

May import: nothing
"""


class ZooreadyError(Exception):
    """Any failure that zooready explains; the message says what happened, why, and what to do."""


class BundleInvalid(ZooreadyError):
    """A bundle is damaged, unsafe, or breaks a rule that the programs reading it depend on."""


class OutputsDiffer(ZooreadyError):
    """Two computations of the same output differ by more than the tolerance."""


class ConsumerMissing(ZooreadyError):
    """A program or engine that was asked for is not installed on this machine."""


class ConsumerFailed(ZooreadyError):
    """A program or engine crashed, hung, or returned nothing usable."""


class InputInvalid(ZooreadyError):
    """An image, folder, network or setting given by the user cannot be used."""
