"""The files for other programs that come with this one: dashboards, rules, routes, an example configuration.

In: a directory. Out: these files in it, under the paths that they have in the repository; or a refusal, and then
nothing was written.
"""

from __future__ import annotations

from pathlib import Path

from exporter.errors import CommandFailed

SHIPPED = (
    "config.yaml",
    "dashboards/json",
    "dashboards/provisioning",
    "dashboards/configmap.yaml",
    "alerts/rules",
    "alerts/prometheusrule.yaml",
    "alerts/values.yaml",
    "deploy",
)
"""Files and directories, from the root of the repository; `setup.py` puts them into the wheel."""
_NOTHING = "none of the assets is installed with this program: install it from its wheel, or run it in its repository"


def shipped() -> dict[str, Path]:
    """All shipped files by their relative path: as installed, or as they are in the repository that we run from."""
    package = Path(__file__).parent
    root = package / "shipped"
    if not root.is_dir():
        root = package.parent
    return {str(path.relative_to(root)): path for path in files_below(root)}


def files_below(root: Path) -> list[Path]:
    """The files that `SHIPPED` names below a root, sorted; nothing hidden and nothing compiled."""
    found: set[Path] = set()
    for name in SHIPPED:
        place = root / name
        inside = [place] if place.is_file() else place.rglob("*")
        found |= {one for one in inside if one.is_file() and not one.name.startswith(".") and one.suffix != ".pyc"}
    return sorted(found)


def export(directory: Path, *, force: bool = False) -> list[str]:
    """Write all files below `directory`, which is made; returns their relative paths.

    Raises:
        CommandFailed: there is another file of that name already (without `force`), or it cannot be written.

    """
    files = {name: path.read_bytes() for name, path in shipped().items()}
    if not files:
        raise CommandFailed(_NOTHING)
    others = [name for name, content in files.items() if _differs(directory / name, content)]
    if others and not force:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise CommandFailed(f"{directory / others[0]}{more}: exists with other content; --force writes over it")
    for name, content in files.items():
        path = directory / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise CommandFailed(f"{path}: {error.strerror or 'cannot be written'}") from None
    return list(files)


def _differs(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() != content
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror or 'cannot be read'}") from None
