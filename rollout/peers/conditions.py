"""The conditions of Argo's metrics, such as ``len(result) > 0 && result[0] > 0.005``. Pure.

https://argo-rollouts.readthedocs.io/en/stable/features/analysis/
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final


class ConditionInvalid(ValueError):
    """The condition has a part that is not known here; the message names it."""


class NoValue(Exception):
    """The result has too few values for the condition: the measurement is an error."""


_COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "len": len,
    "isNaN": math.isnan,
    "isInf": math.isinf,
    "asFloat": float,
    "asInt": int,
}
_CONSTANTS: Final = {"true": True, "false": False, "nil": None}


def evaluate(condition: str, result: Sequence[float]) -> bool:
    """Return whether a condition holds; raise ConditionInvalid or NoValue."""
    # Go's operators are Python's under other names; "!=" stays.
    text = re.sub(r"!(?!=)", " not ", condition.replace("&&", " and ").replace("||", " or "))
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval")
    except SyntaxError:
        raise ConditionInvalid(f"{condition!r} can't be read") from None
    try:
        return bool(_value(tree.body, result))
    except IndexError:
        raise NoValue(condition) from None
    except TypeError as error:
        raise ConditionInvalid(f"{condition!r}: {error}") from None


def _value(node: ast.expr, result: Sequence[float]) -> Any:
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Name(id="result"):
            return result
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.BoolOp(op=ast.And()):
            return all(_value(each, result) for each in node.values)
        case ast.BoolOp():
            return any(_value(each, result) for each in node.values)
        case ast.UnaryOp(op=ast.Not()):
            return not _value(node.operand, result)
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand, result)
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            return _ARITHMETIC[type(node.op)](_value(node.left, result), _value(node.right, result))
        case ast.Compare(ops=[how], comparators=[other]) if type(how) in _COMPARISONS:
            return _COMPARISONS[type(how)](_value(node.left, result), _value(other, result))
        case ast.Subscript():
            return _value(node.value, result)[_value(node.slice, result)]
        case ast.Call(func=ast.Name(id="default"), args=[wanted, otherwise]):
            try:
                found = _value(wanted, result)
            except IndexError:
                found = None
            return _value(otherwise, result) if found is None else found
        case ast.Call(func=ast.Name(id=name), args=[argument]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](_value(argument, result))
    raise ConditionInvalid(f"{ast.unparse(node)} is not known here")
