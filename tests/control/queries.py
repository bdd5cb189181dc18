"""The expressions of rules and dashboards, and what they ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless",
          "offset", "bool"}  # fmt: skip
_CLAUSE = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_MATCHERS = re.compile(r"\{([^}]*)\}")
_STRING = re.compile(r'"[^"]*"')


def rule_queries(rules: str) -> list[str]:
    """Every expression of a file of rules; each stands on a line of its own."""
    return re.findall(r"^ +expr: (.+)$", rules, flags=re.MULTILINE)


def dashboard_queries(dashboard: Mapping[str, Any]) -> list[str]:
    """Every expression of a dashboard, with Grafana's variables filled in."""
    found = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    return [expr.replace("$__rate_interval", "1m").replace("$instance", ".*") for expr in found]


def metrics_of(query: str) -> set[str]:
    """The metrics that an expression asks for."""
    bare = _MATCHERS.sub(" ", _CLAUSE.sub(" ", _STRING.sub(" ", query)))
    bare = re.sub(r"\[[^]]*\]", " ", bare)
    names = re.findall(r"(?<![\w:.])[a-zA-Z_:][\w:]*", bare)
    called = re.findall(r"(\w+)\s*\(", bare)
    return set(names) - _WORDS - set(called)


def labels_of(query: str) -> set[str]:
    """The labels that an expression matches or groups by."""
    bare = _STRING.sub('""', query)
    found = {label for clause in _CLAUSE.findall(bare) for label in re.findall(r"\w+", clause)}
    for matchers in _MATCHERS.findall(bare):
        found |= set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
    return found
