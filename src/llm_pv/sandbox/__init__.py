"""Run untrusted code: inputs go in, predictions come out, and nothing else.

Code that explores labelled training rows runs in a `PythonTool`, never in a candidate's process.
"""

from llm_pv.sandbox.batch import Batch, LabelledRows
from llm_pv.sandbox.confinement import Confinement
from llm_pv.sandbox.execution import Execution, Limits, Outcome, ToolLimits
from llm_pv.sandbox.modules import ALLOWED_MODULES
from llm_pv.sandbox.program_sandbox import Sandbox, probe_confinement
from llm_pv.sandbox.tool import PythonTool, ToolFunction, ToolResult

__all__ = [
    "ALLOWED_MODULES",
    "Batch",
    "Confinement",
    "Execution",
    "LabelledRows",
    "Limits",
    "Outcome",
    "PythonTool",
    "Sandbox",
    "ToolFunction",
    "ToolLimits",
    "ToolResult",
    "probe_confinement",
]
