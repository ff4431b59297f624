"""Children that Ctrl-C reaches, however the tests were started.

Whatever ``nohup``, cron or ``&`` of a script starts ignores SIGINT, and hands that on to its children. A run of ``zooready`` is right to
keep it so; a test that sends SIGINT to its child is not.
"""

import signal


def interruptible():
    """For ``preexec_fn`` of a test's child: SIGINT ends it, as in a terminal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
