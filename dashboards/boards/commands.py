"""Which commands read keys and which write them, as matchers; from the command table that finds the keys."""

from __future__ import annotations

import json
from importlib.resources import files


def _matcher(kind: str) -> str:
    """Match the commands whose first key is read (`r`) or written (`w`); those of modules are left out."""
    table = json.loads((files("exporter.monitor") / "commands.json").read_text(encoding="utf-8"))
    names = {name for spec, listed in table.items() if spec.startswith(kind) for name in listed.split()}
    # A subcommand has the bar that is an alternative in a pattern.
    plain = sorted(name.replace("|", "[|]") for name in names if "." not in name)
    return f'cmd=~"{"|".join(plain)}"'


READS, WRITES = _matcher("r"), _matcher("w")
