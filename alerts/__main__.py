"""`python -m alerts`: writes rules, manifest and runbooks anew; with `--rules`, only the rules, elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from yaml import YAMLError

from alerts.writing import prometheus_rule, read_values, rule_files, runbooks

HERE = Path(__file__).parent


def main() -> None:
    """Write the files that the values and the families make."""
    parser = argparse.ArgumentParser(prog="python -m alerts", description="Write the rules from the values file.")
    parser.add_argument("--values", type=Path, default=HERE / "values.yaml", help="another values file")
    parser.add_argument("--rules", type=Path, help="write only the rule files, into this directory")
    given = parser.parse_args()
    try:
        values = read_values(given.values.read_text(encoding="utf-8"))
        files = {(given.rules or HERE / "rules") / name: text for name, text in rule_files(values).items()}
    except KeyError as error:
        parser.error(f"{given.values}: {error.args[0]} is missing, or there is nothing of that name")
    except (OSError, TypeError, AttributeError, YAMLError) as error:
        parser.error(f"{given.values}: {error}")
    if given.rules is None:
        files[HERE / "prometheusrule.yaml"] = prometheus_rule(values)
        pages = HERE.parent / "docs" / "runbooks"
        files |= {pages / name: text for name, text in runbooks(values).items()}
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
