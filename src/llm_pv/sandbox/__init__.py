"""Running code nobody trusts: inputs go in, predictions come out, and nothing else."""

from llm_pv.sandbox.batch import Batch
from llm_pv.sandbox.confinement import Confinement
from llm_pv.sandbox.execution import Execution, Limits, Outcome
from llm_pv.sandbox.modules import ALLOWED_MODULES
from llm_pv.sandbox.pool import Sandbox, probe_confinement

__all__ = [
    "ALLOWED_MODULES",
    "Batch",
    "Confinement",
    "Execution",
    "Limits",
    "Outcome",
    "Sandbox",
    "probe_confinement",
]
