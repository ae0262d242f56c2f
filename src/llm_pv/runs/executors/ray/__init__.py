"""The same work on many machines of an existing Ray cluster.

Trials, fits, candidates, answers of models, training jobs.
"""

from llm_pv.runs.executors.ray.answers import ClusterAnswers, Opening
from llm_pv.runs.executors.ray.cluster import Cluster
from llm_pv.runs.executors.ray.head import ended_with_its_head
from llm_pv.runs.executors.ray.jobs import ClusterJobs, ClusterSweep
from llm_pv.runs.executors.ray.requirements import Confining, Needs
from llm_pv.runs.executors.ray.sandbox import ClusterSandbox
from llm_pv.runs.executors.ray.trials import ClusterTrials
from llm_pv.runs.executors.ray.workers import ClusterWorkers

__all__ = [
    "Cluster",
    "ClusterAnswers",
    "ClusterJobs",
    "ClusterSandbox",
    "ClusterSweep",
    "ClusterTrials",
    "ClusterWorkers",
    "Confining",
    "Needs",
    "Opening",
    "ended_with_its_head",
]
