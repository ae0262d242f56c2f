"""Let a model explore benchmark tasks: ``python program_synthesis/agent_baseline_runner.py``."""

import sys
from pathlib import Path

# The package beside this file, so that a checkout runs without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from llm_pv.cli.seed_agent import run_seed

if __name__ == "__main__":
    sys.exit(run_seed(sys.argv[1:]))
