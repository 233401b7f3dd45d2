"""`config.yaml` and `docs/configuration.md`, written from the models, so that neither can drift from them."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, SecretStr

from exporter.config.quantities import Duration, Lifetime, Quantity, Rate, Ratio, Size, Whole
from exporter.config.settings import Config, Override, Target
from exporter.config.templates import Template
from exporter.config.warming import Text, WarmingJob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

YAML_HEAD = """\
# Every setting of hotkey-exporter with its default; `hotkey-exporter serve --config config.yaml` behaves as without it.
# An empty value, or null, counts as not set. `${NAME}` in a text is replaced by the environment variable of that name;
# write `$${` for the characters themselves. HOTKEY_EXPORTER_SECTION__FIELD in the environment wins over this file.
"""
DOCS_HEAD = """\
# Configuration

`hotkey-exporter serve --config FILE` reads a YAML file; without one, nothing is picked up by itself and every setting
has its default. `config.yaml` shows them all. `hotkey-exporter check --config FILE` lists every problem at once, each
with its place, and changes nothing.

**Who wins.** Arguments of the command line (`--listen`, `--redis-url`), then `HOTKEY_EXPORTER_SECTION__FIELD`, then
`REDIS_URL`, then the file, then the default.

**Environment.** The section and the field are joined by two underscores, in any case:
`HOTKEY_EXPORTER_SAMPLING__TOP=50`. Targets are addressed by name, dots and dashes written as underscores:
`HOTKEY_EXPORTER_TARGETS__CACHE__PASSWORD_FILE`, `HOTKEY_EXPORTER_TARGETS__CACHE__TLS__CA_FILE`. A target that the file
does not have is made, with its name in lower case. Lists and mappings are written as YAML or JSON:
`HOTKEY_EXPORTER_KEYS__MASK='["*sess*", "*card*"]'`. An empty variable counts as not set, one without `__` is ignored,
one that names no setting is an error. `REDIS_URL` sets the `url` of the only target.

**Secrets.** Use `password_file`, or `${NAME}` inside a text of the file. No message, log line or page shows a value
that was configured; a problem is told by its place.

**Values.** Durations: `250ms`, `5s`, `2m`, `1h`, or a number of seconds. Sizes: `64KiB`, `2MiB`, `1GB`, or a number of
bytes. Rates: `1000/min`, `50/s`, `5/h`, or a number per second. Shares: `10%` or `0.1`. A key that the file has twice,
and a key that does not exist, are errors.
"""
ALSO = """\
Every setting of `sampling` and `stats` can be given for one target, too, except `total_events_per_second`, which is one
budget for all of them; what a target does not set, it takes from the general section.
"""
DEFAULT_TARGET = Target.model_validate({"name": "redis", "url": "redis://localhost:6379"})


def config_yaml() -> str:
    """Write the file of defaults: a comment above every setting."""
    blocks = [YAML_HEAD, "\n".join(_yaml_section("targets", Config.model_fields["targets"], 0))]
    for name, info in Config.model_fields.items():
        if name != "targets":
            blocks.append("\n".join(_yaml_section(name, info, 0)))
    return "\n".join(f"{block.rstrip()}\n" for block in blocks)


def configuration_md() -> str:
    """Write the page: a table for each section."""
    blocks = [DOCS_HEAD]
    for name, info in Config.model_fields.items():
        model = Target if name == "targets" else info.annotation
        listed = "targets[].{}" if name == "targets" else f"{name}.{{}}"
        blocks.append(f"## {name}\n\n{info.description}\n\n" + _table(model, listed))
    blocks.insert(2, ALSO)
    blocks.append("## Entries of `sampling.overrides`\n\n" + _table(Override, "{}"))
    blocks.append("## Entries of `warming.jobs`\n\n" + _table(WarmingJob, "warming.jobs[].{}"))
    return "\n".join(blocks)


def _table(model: Any, listed: str) -> str:
    rows = ["| setting | default | values | meaning |", "|---|---|---|---|"]
    for path, info in _settings(model):
        cells = [f"`{listed.format(path)}`", _markdown_default(info), _values(info), str(info.description)]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, info in model.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and name not in {"sampling", "stats"}:
            yield from _settings(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", info


def _yaml_section(name: str, info: FieldInfo, indent: int) -> Iterator[str]:
    pad = "  " * indent
    yield from _comment(str(info.description), indent)
    inner = info.annotation
    if name == "targets":
        yield f"{pad}{name}:"
        lines = [line for key, field in Target.model_fields.items() for line in _yaml_section(key, field, 2)]
        first = next(line for line in lines if "#" not in line)
        yield from (f"  - {line.lstrip()}" if line is first else line for line in lines)
    elif indent and name in {"sampling", "stats"}:
        yield f"{pad}{name}: {{}}"
    elif isinstance(inner, type) and issubclass(inner, BaseModel):
        yield f"{pad}{name}:"
        for key, field in inner.model_fields.items():
            yield from _yaml_section(key, field, indent + 1)
    else:
        shown = info.is_required() or info is Target.model_fields["url"]
        value = getattr(DEFAULT_TARGET, name) if shown else info.get_default(call_default_factory=True)
        yield f"{pad}{name}: {_yaml(value, info)}"


def _comment(text: str, indent: int) -> list[str]:
    pad = "  " * indent + "# "
    return textwrap.wrap(text, 118, initial_indent=pad, subsequent_indent=pad, break_on_hyphens=False)


def _yaml(value: Any, info: FieldInfo) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    if value == {}:
        return "{}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    quantity = _quantity(info)
    text = quantity.show(value) if quantity else str(value)
    return f'"{text}"' if text in {"1.2", "1.3"} else text


def _markdown_default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "`{}`"
    return "not set" if value is None else f"`{_yaml(value, info)}`"


def _values(info: FieldInfo) -> str:
    annotation = _bare(info.annotation)
    quantity = _quantity(info)
    if quantity:
        return f"{_kind(quantity)}, {quantity.show(quantity.low)} to {quantity.show(quantity.high)}"
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(annotation))
    if get_origin(annotation) is tuple:
        return {Override: "list of entries", WarmingJob: "list of entries", Text: "list of texts"}.get(
            get_args(annotation)[0], "list of globs"
        )
    if get_origin(annotation) is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "mapping"
    return {
        bool: "`true`, `false`",
        Template: "text with fields",
        Path: "path of a file",
        SecretStr: "text, secret",
    }.get(annotation, "text")


def _bare(annotation: Any) -> Any:
    """Strip `| None` and `Annotated` off a type."""
    parts = [part for part in get_args(annotation) if part is not type(None)]
    if type(None) in get_args(annotation):
        annotation = parts[0]
    return get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation


def _quantity(info: FieldInfo) -> Quantity | None:
    """Find the bounds and the unit of a setting beside its type."""
    annotations = [info, *get_args(info.annotation)]
    found = [item for part in annotations for item in getattr(part, "metadata", getattr(part, "__metadata__", ()))]
    owners = [getattr(item.func, "__self__", None) for item in found if isinstance(item, BeforeValidator)]
    return next(
        (owner for owner in owners if isinstance(owner, Duration | Lifetime | Rate | Ratio | Size | Whole)), None
    )


def _kind(quantity: Quantity) -> str:
    return {
        Duration: "duration",
        Lifetime: "`none` or duration",
        Rate: "rate",
        Ratio: "share",
        Size: "size",
        Whole: "number",
    }[type(quantity)]
