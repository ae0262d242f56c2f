"""The same work on many machines of an existing Ray cluster.

Trials, fits, candidates, answers of models, training jobs.
"""

from llm_pv.scale.answers import ClusterAnswers, Opening
from llm_pv.scale.cluster import Cluster
from llm_pv.scale.head import ended_with_its_head
from llm_pv.scale.jobs import ClusterJobs, ClusterSweep
from llm_pv.scale.needs import Confining, Needs
from llm_pv.scale.sandbox import ClusterSandbox
from llm_pv.scale.trials import ClusterTrials
from llm_pv.scale.workers import ClusterWorkers

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
