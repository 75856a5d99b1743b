"""The order of the steps in the definition of a pipeline, as the run config of runnable and of magnus has it."""

from collections.abc import Mapping
from typing import Any

from runlog_otel.core.model import NO_PLAN, TERMINAL_KINDS, Plan, PlannedStep
from runlog_otel.core.runlogs.header import text_of

Document = Mapping[str, Any]

_MAX_DEPTH = 50


def plan_from_graph(graph: Document, depth: int = _MAX_DEPTH) -> Plan:
    """The plan of a graph (`Graph` of `runnable.graph`, of `magnus.graph` by alias); of an empty one, `NO_PLAN`.

    Args:
        graph: the document.
        depth: how many graphs inside of each other are read.
    """
    nodes = graph.get("nodes") or graph.get("steps") or {}
    if not nodes or not depth:
        return NO_PLAN
    steps = {
        name: _planned(node, text_of(node.get("name") or name), depth)
        for name, node in nodes.items()
        if text_of(node.get("node_type") or node.get("type")) not in TERMINAL_KINDS
    }
    return Plan(text_of(graph.get("start_at")), steps)


def _planned(node: Document, name: str, depth: int) -> PlannedStep:
    inner = node.get("branches")
    graphs = dict(inner) if isinstance(inner, Mapping) else {}
    if isinstance(node.get("branch"), Mapping):
        graphs[""] = node["branch"]
    return PlannedStep(
        name=name,
        next_name=text_of(node.get("next_node") or node.get("next")),
        on_failure=text_of(node.get("on_failure")),
        branches={
            key: plan_from_graph(graph, depth - 1) for key, graph in graphs.items() if isinstance(graph, Mapping)
        },
    )
