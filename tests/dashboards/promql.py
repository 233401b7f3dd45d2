"""What an expression is made of, by a real parser of PromQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import promql_parser as promql

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}
SETS = {"and", "or", "unless"}
ANY = None
"""All labels that a series may have."""


def walk(expr: Any) -> Iterator[Any]:
    """An expression and everything in it."""
    yield expr
    for part in _parts(expr):
        yield from walk(part)


def _parts(expr: Any) -> list[Any]:
    match expr:
        case promql.BinaryExpr():
            return [expr.lhs, expr.rhs]
        case promql.AggregateExpr():
            return [one for one in (expr.expr, expr.param) if one is not None]
        case promql.Call():
            return list(expr.args)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return [expr.expr]
        case promql.MatrixSelector():
            return [expr.vector_selector]
    return []


def bare(expr: Any) -> Any:
    """Without the parentheses around it."""
    while isinstance(expr, promql.ParenExpr):
        expr = expr.expr
    return expr


def labels(expr: Any) -> frozenset[str] | None:
    """The labels that the result may have; ANY where nothing takes labels away."""
    expr = bare(expr)
    found: frozenset[str] | None = ANY
    match expr:
        case promql.AggregateExpr() if str(expr.op) in {"topk", "bottomk"}:
            found = labels(expr.expr)
        case promql.AggregateExpr():
            found = frozenset(expr.modifier.labels if expr.modifier else ())
        case promql.BinaryExpr():
            found = _of_both(expr)
        case promql.Call() if expr.func.name == "histogram_quantile":
            below = labels(expr.args[-1])
            found = ANY if below is ANY else below - {"le"}
        case promql.Call() if expr.func.name not in {"time", "vector"}:
            found = labels(next((one for one in reversed(expr.args) if not _scalar(one)), expr.args[-1]))
        case promql.UnaryExpr() | promql.SubqueryExpr():
            found = labels(expr.expr)
        case promql.Call() | promql.NumberLiteral() | promql.StringLiteral():
            found = frozenset()
    return found


def _of_both(expr: Any) -> frozenset[str] | None:
    left, right, operator = labels(expr.lhs), labels(expr.rhs), str(expr.op)
    if operator == "or":
        return right if left is ANY else left if right is ANY else left & right
    if operator in SETS or _scalar(expr.rhs):
        return left
    if _scalar(expr.lhs):
        return right
    return _of_arithmetic(expr.modifier, left, right, operator in COMPARISONS)


def _of_arithmetic(
    modifier: Any, left: frozenset[str] | None, right: frozenset[str] | None, compared: bool
) -> frozenset[str] | None:
    if not modifier or not modifier.matching:
        return right if left is ANY else left
    one_sided = str(modifier.card).rpartition(".")[2]
    if one_sided == "OneToOne":
        return left if compared else frozenset(modifier.matching.labels)
    many = left if one_sided == "ManyToOne" else right
    return ANY if many is ANY else many | frozenset(modifier.group_labels or ())


def _scalar(expr: Any) -> bool:
    expr = bare(expr)
    if isinstance(expr, promql.BinaryExpr):
        return _scalar(expr.lhs) and _scalar(expr.rhs)
    return isinstance(expr, promql.NumberLiteral) or (isinstance(expr, promql.Call) and expr.func.name == "time")


def selectors(expr: Any) -> Iterator[Any]:
    """Every selector."""
    return (one for one in walk(expr) if isinstance(one, promql.VectorSelector))


def metrics(expr: Any) -> set[str]:
    """The names of all metrics."""
    return {one.name for one in selectors(expr)}


def used_labels(expr: Any) -> Iterator[tuple[str, set[str]]]:
    """Each metric with the labels that are matched on it."""
    for one in selectors(expr):
        yield one.name, {matcher.name for matcher in one.matchers.matchers}


def unguarded(expr: Any) -> Iterator[str]:
    """Divisions by what may be 0: neither a number nor filtered by a comparison."""
    for one in walk(expr):
        if isinstance(one, promql.BinaryExpr) and str(one.op) == "/":
            divisor = bare(one.rhs)
            filtered = isinstance(divisor, promql.BinaryExpr) and str(divisor.op) in COMPARISONS
            if not filtered and not isinstance(divisor, promql.NumberLiteral):
                yield str(divisor)
