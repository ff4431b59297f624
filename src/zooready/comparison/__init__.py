"""A bundle times its consumers makes verdicts: the only room that compares.

In: the path of a bundle. Out: a verdict for every consumer and format, and the images behind them. Every cell runs once for all
stored cases. Values agree when the largest difference / range is within the format's tolerance and everything is finite; labels
agree by matched objects. A verdict is a status and a level, and never claims more than what ran.

May import: processes, images, bundle, consumers
"""

from zooready.comparison.comparing import Comparison, compare, exit_code

__all__ = ["Comparison", "compare", "exit_code"]
