"""Numbers and reasons as people read them: values in, short text out."""

from __future__ import annotations

_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))

REASONS = {
    "starting": "The first observation has not ended yet.",
    "off": "Switched off by sampling.source in the configuration.",
    "down": "The node is down.",
    "denied": "This user may not run MONITOR on the server.",
    "unsupported": "The server does not have MONITOR, or has it under another name.",
    "loading": "The server is loading its data set.",
    "failover": "The server is in a failover or a full synchronisation.",
    "replica": "A replica: MONITOR shows what is replicated there, and not the traffic; the primary is sampled.",
    "memory": "The server has too little free memory for an observation to be safe.",
    "server_limit": "The server sets no limit to clients that stop reading, and sampling.server_limit requires one.",
    "backoff": "The last observation failed; the next one waits.",
    "timeout": "The node does not answer in time.",
    "refused": "The node refuses connections.",
    "dns": "The name of the node cannot be resolved.",
    "tls": "No TLS connection can be made.",
    "auth": "The user or the password is wrong or missing.",
    "noperm": "The user lacks a permission.",
    "maxclients": "The server has no room for another client.",
    "protected": "The server is in protected mode: it accepts clients of its own host only.",
    "closed": "The node closed the connection.",
    "unreachable": "There is no route to the node.",
    "protocol": "What answers does not speak the Redis protocol.",
    "secret": "The password file cannot be read.",
    "full": "Everything is observed.",
    "budget": "Observed in bursts, within the budget.",
    "recovering": "Observed in full again, or soon; the window still holds seconds that were not.",
    "configured": "The configuration asks for this source by name.",
    "disabled": "The server's own detection is switched off (hotkeys-top-k is 0).",
    "stale": "The latest window is too old to be shown.",
}


NEXT = {
    "refused": "start the server, or correct host and port",
    "timeout": "look for a firewall on the way, or a server that hangs",
    "dns": "correct the host's name, or the resolver of this host",
    "tls": "see docs/tls.md; rediss:// speaks TLS, redis:// does not",
    "auth": "set username and password_file of the target, or HOTKEY_EXPORTER_TARGETS__NAME__PASSWORD_FILE",
    "noperm": "give the user the rights of docs/operating.md",
    "loading": "wait until its data set is loaded",
    "maxclients": "raise maxclients of the server, or close idle clients",
    "protected": "give the server a password, or set its protected-mode to no",
    "closed": "look into the server's log; is this the right port?",
    "unreachable": "look at the network and its routes",
    "protocol": "is this the right port? rediss:// speaks TLS, redis:// does not",
    "secret": "make the password file readable for this user",
}
"""What to do about a node that is down, by its reason."""


def reason(word: str) -> str:
    """Explain a reason of the closed sets in a sentence; an unknown one stands for itself."""
    return REASONS.get(word, word)


def quantity(value: float) -> str:
    """Write a rate or a count with about three figures: `0.42`, `7.1`, `38`, `12,345`."""
    if abs(value) >= 20 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 2 else f"{value:.2f}"


def share(ratio: float) -> str:
    """Write a ratio in percent: `0.3 %`, `12 %`."""
    percent = 100 * ratio
    if percent in {0.0, 100.0} or percent >= 10:
        return f"{percent:.0f} %"
    return f"{percent:.1f} %" if percent >= 0.1 else "< 0.1 %"


def size(count: float) -> str:
    """Write bytes with a binary unit: `512 B`, `1.4 KiB`, `64 MiB`."""
    for unit in _BYTES:
        if abs(count) < 1024 or unit == _BYTES[-1]:
            break
        count /= 1024
    return f"{count:.0f} {unit}" if count >= 100 or count == int(count) else f"{count:.1f} {unit}"


def span(seconds: float) -> str:
    """Write a duration with its two largest units: `2 d 4 h`, `4 m 12 s`, `9 s`, `0.4 ms`."""
    if 0 < seconds < 0.9995:
        milliseconds = 1000 * seconds
        return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2g} ms"
    rest = round(seconds)
    for place, (length, unit) in enumerate(_SPANS):
        if rest >= length:
            count, left = divmod(rest, length)
            smaller = _SPANS[place + 1 : place + 2]
            more = [f"{left // short} {name}" for short, name in smaller if left // short]
            return " ".join([f"{count} {unit}", *more])
    return "0 s"
