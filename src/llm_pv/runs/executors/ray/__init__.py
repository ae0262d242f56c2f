"""The same work on the machines of an existing Ray cluster."""

from llm_pv.runs.executors.ray.cluster import Cluster
from llm_pv.runs.executors.ray.executor import RayExecutor, RaySandbox
from llm_pv.runs.executors.ray.head import ended_with_its_head
from llm_pv.runs.executors.ray.remote import Confining, Requirements

__all__ = [
    "Cluster",
    "Confining",
    "RayExecutor",
    "RaySandbox",
    "Requirements",
    "ended_with_its_head",
]
