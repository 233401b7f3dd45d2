"""What of everything is shown: parameters of the URL come in, a filter, its form and links go out.

All of the page's state is in its URL: so every view has a permanent link, and all of it works without the script.
Parameters that mean nothing here are ignored: this page is for people, who follow links that others have decorated.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from exporter.views.markup import Html, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set

    from exporter.keynames import KeyNames
    from exporter.snapshot import HotKey
    from exporter.views.page.known import Known

LIMITS = (25, 50, 100)
THEMES = ("light", "dark")
MOST_CHOICES = 200
MOST_TEXT = 200
MOST_NAME = 2_000


@dataclass(frozen=True, slots=True)
class Filter:
    """What was asked for; empty and None mean all. `q` is a part of a key's name as it is written.

    `key` is the whole name of a key whose details are shown, and `at` its target, address and database.
    """

    target: str = ""
    node: str = ""
    db: int | None = None
    group: str = ""
    q: str = ""
    limit: int = LIMITS[0]
    theme: str = ""
    pause: bool = False
    key: str = ""
    at: str = ""

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Filter:
        """Read the parameters of a URL; a value that makes no sense counts as not given."""
        db, limit, theme = (parameters.get(name, "") for name in ("db", "limit", "theme"))
        return cls(
            target=parameters.get("target", "")[:MOST_TEXT],
            node=parameters.get("node", "")[:MOST_TEXT],
            db=int(db) if db.isascii() and db.isdigit() and len(db) <= 9 else None,
            group=parameters.get("group", "")[:MOST_TEXT],
            q=parameters.get("q", "")[:MOST_TEXT],
            limit=int(limit) if limit in map(str, LIMITS) else LIMITS[0],
            theme=theme if theme in THEMES else "",
            pause=parameters.get("pause") == "1",
            key=parameters.get("key", "")[:MOST_NAME],
            at=parameters.get("at", "")[:MOST_NAME],
        )

    def link(self, **changes: object) -> str:
        """The relative URL of this view with some changes; what is at its default is left out."""
        changed = asdict(replace(self, **changes))  # type: ignore[arg-type]
        usual = {one.name: one.default for one in fields(self)}
        said = {name: "1" if value is True else value for name, value in changed.items() if value != usual[name]}
        return "?" + urlencode(said)

    def takes(self, target: str, addr: str | None = None) -> bool:
        """Whether a node (or all that belongs to a target) is shown."""
        return self.target in {"", target} and (not self.node or addr in {None, self.node})

    @property
    def narrows(self) -> bool:
        """Whether anything is left out."""
        return bool(self.target or self.node or self.group or self.q or self.db is not None)

    @property
    def narrows_keys(self) -> bool:
        """Whether some keys of a node are left out."""
        return bool(self.group or self.q or self.db is not None)

    def keys(self, keys: Iterable[HotKey], names: KeyNames) -> Set[tuple[int, bytes]] | None:
        """The databases and raw names of the keys that are shown; None for all."""
        if not self.narrows_keys:
            return None
        return {(one.db, one.key) for one in keys if self.takes_key(one.db, one.key, names)}

    def takes_key(self, db: int, key: bytes, names: KeyNames) -> bool:
        """Whether one key is shown."""
        return (
            self.db in {None, db}
            and (not self.group or names.group(key) == self.group)
            and (not self.q or self.q.casefold() in names.label(key).casefold())
        )


def form(known: Known, wanted: Filter) -> Html:
    """The form above the tables; its fields are the parameters of the URL."""
    targets = sorted({one.node.target for one in known.readings})
    of_target = [one for one in known.readings if wanted.takes(one.node.target)]
    nodes = sorted({one.node.addr for one in of_target})
    windows = [one.hotkeys for one in of_target if one.hotkeys]
    dbs = sorted(
        {key.db for window in windows for key in window.keys} | {one.db for window in windows for one in window.groups}
    )
    groups = sorted({one.group for window in windows for one in window.groups})
    return tag(
        "form.filters",
        _choice("target", targets, wanted.target, "all targets") if len(targets) > 1 or wanted.target else None,
        _choice("node", nodes, wanted.node, "all nodes") if len(nodes) > 1 or wanted.node else None,
        _choice("db", map(str, dbs), "" if wanted.db is None else str(wanted.db), "all databases")
        if len(dbs) > 1 or wanted.db is not None else None,
        _choice("group", groups, wanted.group, "all groups") if groups or wanted.group else None,
        _field("key", tag("input", at={"type": "search", "name": "q", "id": "filter-q", "value": wanted.q,
                                       "placeholder": "part of a name", "maxlength": str(MOST_TEXT),
                                       "autocomplete": "off", "spellcheck": "false"}), "q"),
        _choice("limit", map(str, LIMITS), str(wanted.limit)),
        *[tag("input", at={"type": "hidden", "name": name, "value": value})
          for name in ("theme", "key", "at") if (value := getattr(wanted, name))],
        tag("button", "Apply", at={"type": "submit"}),
        tag("a.clear", "clear", at={"href": Filter(theme=wanted.theme).link()}) if wanted.narrows else None,
        at={"id": "filters", "method": "get", "role": "search", "aria-label": "filter"},
    )  # fmt: skip


def _field(label: str, control: Html, name: str) -> Html:
    return tag("div.field", tag("label", label, at={"for": f"filter-{name}"}), control)


def _choice(name: str, values: Iterable[str], chosen: str, every: str | None = None) -> Html:
    """A list to choose from; what is chosen stays in it although there may be nothing of it any more."""
    known = list(values)[:MOST_CHOICES]
    if chosen and chosen not in known:
        known.append(chosen)
    options = [tag("option", every, at={"value": ""})] if every else []
    for value in known:
        marked = {"selected": "selected"} if value == chosen else {}
        options.append(tag("option", value, at={"value": value, **marked}))
    select = tag("select", *options, at={"name": name, "id": f"filter-{name}"})
    return _field({"limit": "rows"}.get(name, name), select, name)
