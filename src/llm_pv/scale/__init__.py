"""The same grid on many machines: trials, fits and candidates on an existing Ray cluster."""

from llm_pv.scale.cluster import Cluster
from llm_pv.scale.needs import Confining, Needs
from llm_pv.scale.sandbox import ClusterSandbox
from llm_pv.scale.trials import ClusterTrials
from llm_pv.scale.workers import ClusterWorkers

__all__ = ["Cluster", "ClusterSandbox", "ClusterTrials", "ClusterWorkers", "Confining", "Needs"]
