"""Train language models over a grid of options: ``python finetuning/sweep.py --help``."""

import sys
from pathlib import Path

# The package beside this file, so that a checkout runs without being installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from llm_pv.cli.main import run_app
from llm_pv.cli.sweep import sweep_app

if __name__ == "__main__":
    sys.exit(run_app(sweep_app, sys.argv[1:]))
