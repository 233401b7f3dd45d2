"""What went wrong in a database driver, in our words: its error in, a SourceError out.

The text of a driver may hold the URL, the values of a row or the statement with its parameters, so it is never shown.
What is shown are codes, and the names of missing columns and tables, which the configuration gave.
"""

from __future__ import annotations

import re

from exporter.warming.items import SourceError, SourceReason

_MYSQL = {
    1044: SourceReason.AUTH, 1045: SourceReason.AUTH, 1049: SourceReason.QUERY, 1054: SourceReason.QUERY,
    1064: SourceReason.QUERY, 1142: SourceReason.AUTH, 1146: SourceReason.QUERY, 1317: SourceReason.TIMEOUT,
    1969: SourceReason.TIMEOUT, 2003: SourceReason.REFUSED, 2006: SourceReason.CLOSED, 2013: SourceReason.CLOSED,
    3024: SourceReason.TIMEOUT,
}  # fmt: skip
_SIGNS = (
    (
        re.compile(r"password authentication|authentication failed|no password supplied", re.IGNORECASE),
        SourceReason.AUTH,
    ),
    (re.compile(r"refused|no such file|unable to open", re.IGNORECASE), SourceReason.REFUSED),
    (re.compile(r"resolve|translate host|name or service|getaddrinfo|nodename", re.IGNORECASE), SourceReason.DNS),
    (re.compile(r"timeout|timed out|interrupted|locked", re.IGNORECASE), SourceReason.TIMEOUT),
    (re.compile(r"ssl|tls|certificate", re.IGNORECASE), SourceReason.TLS),
    (re.compile(r"closed|lost|terminat|reset|EOF|consuming input", re.IGNORECASE), SourceReason.CLOSED),
    (re.compile(r"no such|syntax", re.IGNORECASE), SourceReason.QUERY),
)
_WORDS = {
    SourceReason.AUTH: "user name or password is wrong, or the user may not read this",
    SourceReason.REFUSED: "nothing listens there",
    SourceReason.DNS: "the host name cannot be resolved",
    SourceReason.TIMEOUT: "no answer in time",
    SourceReason.TLS: "no TLS connection",
    SourceReason.CLOSED: "the database closed the connection",
    SourceReason.QUERY: "the database does not take the query",
    SourceReason.UNREACHABLE: "the database cannot be used",
}
_NAME = re.compile(r"""(column|table|relation|database|function)[: ]+["'`]?([A-Za-z_][\w.]{0,80})""", re.IGNORECASE)


def source_error(error: BaseException) -> SourceError:
    """The reason and a readable detail of a driver's error."""
    reason, code = _reason(error)
    detail = _WORDS[reason]
    if reason is SourceReason.QUERY and (named := _NAME.search(str(error))):
        detail += f": {named[1].lower()} {named[2]}"
    return SourceError(reason, f"{detail} (code {code})" if code else detail)


def _reason(error: BaseException) -> tuple[SourceReason, str]:
    """The reason, and the database's code where it gave one."""
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        by_class = {"28": SourceReason.AUTH, "42": SourceReason.QUERY, "3D": SourceReason.QUERY,
                    "22": SourceReason.QUERY, "57": SourceReason.CLOSED, "08": SourceReason.CLOSED}  # fmt: skip
        exact = {"57014": SourceReason.TIMEOUT, "42501": SourceReason.AUTH, "25006": SourceReason.QUERY}
        return exact.get(state) or by_class.get(state[:2], SourceReason.UNREACHABLE), state
    number = error.args[0] if error.args else None
    if isinstance(number, int) and number in _MYSQL:
        reason = _MYSQL[number]
        if (number == 2003 and "timed out" in str(error)) or (number == 2013 and "timed out" in str(error)):
            reason = SourceReason.TIMEOUT
        return reason, str(number)
    text = f"{error} {error.__cause__ or ''}"
    return next((reason for sign, reason in _SIGNS if sign.search(text)), SourceReason.UNREACHABLE), ""
