"""`python -m exporter` is `hotkey-exporter`, and this is where both begin.

Until the program is loaded Ctrl-C ends the process as the system does it, without a traceback of an import.
"""

from __future__ import annotations

import _signal  # the C part only: loading `signal` takes as long as all that comes before it


def run() -> None:
    """Run the program and leave with its exit code."""
    from exporter.cli import run as run_cli  # noqa: PLC0415 - see above

    _leave(run_cli())


def _leave(code: int) -> None:
    """End the process, now that all is closed and said.

    Python would wait for every thread that still waits for somebody else; who stops us does not.
    """
    import os  # noqa: PLC0415
    import sys  # noqa: PLC0415
    import threading  # noqa: PLC0415
    from contextlib import suppress  # noqa: PLC0415

    if all(thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


_signal.signal(_signal.SIGINT, _signal.SIG_DFL)
if __name__ == "__main__":
    run()
