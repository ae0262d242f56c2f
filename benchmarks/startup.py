"""How long ``import llm_pv`` and ``llm-pv --help`` take in a fresh process.

Run it as ``python -m benchmarks.startup``: the median and range of 15 runs each, after a warm-up,
and the bare interpreter for comparison.
"""

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import llm_pv": ["-c", "import llm_pv"],
    "llm-pv --help": ["-m", "llm_pv", "--help"],
    "llm-pv learn --help": ["-m", "llm_pv", "learn", "--help"],
}
RUNS = 15


def seconds(arguments: list[str]) -> float:
    """Return the wall-clock seconds of one fresh process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    for name, arguments in COMMANDS.items():
        seconds(arguments)
        times = [seconds(arguments) for _ in range(RUNS)]
        print(
            f"{name:22} median {statistics.median(times):.3f} s "
            f"({min(times):.3f} to {max(times):.3f})"
        )


if __name__ == "__main__":
    main()
