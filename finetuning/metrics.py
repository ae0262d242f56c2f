"""Show what the jobs of a results folder measured: ``python finetuning/metrics.py --help``."""

import sys
from pathlib import Path

# The package beside this file, so that a checkout runs without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from llm_pv.cli.main import run_app
from llm_pv.cli.sweep import metrics_app

if __name__ == "__main__":
    sys.exit(run_app(metrics_app, sys.argv[1:]))
