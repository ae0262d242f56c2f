"""Label inputs from examples in the prompt: ``python in_context_learning/vllm_incontext.py``."""

import sys
from pathlib import Path

# The package beside this file, so that a checkout runs without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from llm_pv.cli.seed_icl import run_seed

if __name__ == "__main__":
    sys.exit(run_seed(sys.argv[1:]))
