"""`python -m exporter` is `hotkey-exporter`."""

from exporter.cli import run

if __name__ == "__main__":
    run()
