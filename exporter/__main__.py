"""`python -m exporter` is `hotkey-exporter`, and this is where both begin.

Until the program is loaded Ctrl-C ends the process as the system does it, without a traceback of an import.
"""

from __future__ import annotations

import _signal  # the C part only: loading `signal` takes as long as all that comes before it


def run() -> None:
    """Run the program and leave with its exit code."""
    from exporter.cli import run as run_cli  # noqa: PLC0415 - see above

    run_cli()


_signal.signal(_signal.SIGINT, _signal.SIG_DFL)
if __name__ == "__main__":
    run()
