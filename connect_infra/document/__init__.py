"""The documents as data: what they say, what does not work as written, what a host must show.

Everything else in the project takes its numbers from here, so that a documented value stands in
one place only.
"""

from connect_infra.document.controls import (
    DOCUMENTED_DOMAIN,
    Control,
    Document,
    Erratum,
    Expectation,
    Topology,
)
from connect_infra.document.loading import load
from connect_infra.document.memory_budget import MemorySizes
from connect_infra.document.problems import Problem, first_problem
from connect_infra.document.sizing import Sizing, scale
from connect_infra.document.values import Value, ValueType, parse

__all__ = [
    "DOCUMENTED_DOMAIN",
    "Control",
    "Document",
    "Erratum",
    "Expectation",
    "MemorySizes",
    "Problem",
    "Sizing",
    "Topology",
    "Value",
    "ValueType",
    "first_problem",
    "load",
    "parse",
    "scale",
]
