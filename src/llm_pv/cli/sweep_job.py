"""One job of a sweep: ``llm-pv finetune`` that exits with the sweep that started it."""

import os
import sys
import threading

from llm_pv.cli.finetune import seed_app
from llm_pv.cli.main import INTERRUPTED, run_app


def _end_with_standard_input() -> None:
    """Wait for the end of standard input, which the sweep holds open while it runs."""
    while os.read(0, 1):  # unbuffered, so that no lock is held when the interpreter ends
        pass
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    sys.exit(run_app(seed_app, sys.argv[1:]))
