"""`python -m dashboards`: writes the dashboards and the files around them anew."""

from __future__ import annotations

from pathlib import Path

from dashboards.files import committed


def main() -> None:
    """Write every file."""
    for path, text in committed(Path(__file__).parents[1]).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
