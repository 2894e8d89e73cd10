"""The examples of RFC 7396, appendix A, with other names: original, patch, result."""

from __future__ import annotations

from typing import Any, Final

MERGES: Final[dict[str, tuple[Any, Any, Any]]] = {
    "a member is replaced": ({"tea": "green"}, {"tea": "black"}, {"tea": "black"}),
    "a member is added": ({"tea": 1}, {"milk": 2}, {"tea": 1, "milk": 2}),
    "null takes the only member": ({"tea": 1}, {"tea": None}, {}),
    "null takes one member of two": ({"tea": 1, "milk": 2}, {"tea": None}, {"milk": 2}),
    "a list gives way to a string": ({"tea": ["green"]}, {"tea": "black"}, {"tea": "black"}),
    "a string gives way to a list": ({"tea": "black"}, {"tea": ["green"]}, {"tea": ["green"]}),
    "objects are merged inside": (
        {"cup": {"size": 1}},
        {"cup": {"size": 2, "lid": None}},
        {"cup": {"size": 2}},
    ),
    "lists are never merged": ({"cups": [{"size": 1}]}, {"cups": [2]}, {"cups": [2]}),
    "a list replaces a list": (["green", "black"], ["white"], ["white"]),
    "a list replaces an object": ({"tea": 1}, ["white"], ["white"]),
    "null replaces the whole": ({"tea": 1}, None, None),
    "a string replaces the whole": ({"tea": 1}, "none left", "none left"),
    "a stored null stays": ({"tea": None}, {"milk": 1}, {"tea": None, "milk": 1}),
    "an object replaces a list": ([1, 2], {"tea": 1, "milk": None}, {"tea": 1}),
    "nulls vanish from what is new": (
        {},
        {"cup": {"lid": {"knob": None}}},
        {"cup": {"lid": {}}},
    ),
}
