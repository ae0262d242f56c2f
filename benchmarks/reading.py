"""Time and memory that reading and splitting a million rows take: ``python -m benchmarks.reading``.

Each format is read by a process of its own, so that its peak memory is that of the reading alone.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

_CHILD = """
import json, re, sys, time
from llm_pv.data.readers import read_table
from llm_pv.data.splits import split_tables

def peak_mb():
    # Not ru_maxrss, which counts what the parent held before the child's exec.
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

before, start, cpu_start = peak_mb(), time.perf_counter(), time.process_time()
table = read_table(sys.argv[1], target="target")
read, read_mb = time.perf_counter() - start, peak_mb()
read_cpu = time.process_time() - cpu_start
splits = split_tables(table, seed=0)
split = time.perf_counter() - start - read
print(json.dumps({
    "rows": len(table), "read_s": round(read, 2),
    "read_cpu_s": round(read_cpu, 2), "split_s": round(split, 2),
    "imports_mb": round(before), "read_peak_mb": round(read_mb), "peak_mb": round(peak_mb()),
}))
"""


def main() -> None:
    """Write a table in each format to a temporary folder and print one line of figures each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--formats", nargs="+", default=["csv", "jsonl", "parquet"])
    arguments = parser.parse_args()
    frame = _rows(arguments.rows)
    with tempfile.TemporaryDirectory() as folder:
        for file_format in arguments.formats:
            path = Path(folder) / f"rows.{file_format}"
            _write(frame, path)
            command = [sys.executable, "-c", _CHILD, str(path)]
            result = subprocess.run(command, check=True, capture_output=True, text=True)
            figures = {"file_mb": path.stat().st_size // 2**20, **json.loads(result.stdout)}
            print(file_format, json.dumps(figures), flush=True)


def _write(frame: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)


def _rows(count: int) -> pd.DataFrame:
    """Return ten columns as users have them: decimals, counts, codes, words, truth, gaps."""
    random = np.random.default_rng(0)
    words = np.array(["red", "green", "blue", "a, quoted cell", "Zürich"])
    decimals = random.normal(size=(count, 4))
    decimals[random.random(count) < 0.05, 3] = np.nan
    return pd.DataFrame(
        {
            "length": decimals[:, 0].round(4),
            "width": decimals[:, 1],
            "price": decimals[:, 2].round(2),
            "rating": decimals[:, 3].round(1),
            "age": random.integers(0, 100, count),
            "number": random.integers(0, 10**9, count),
            "zip": pd.Series(random.integers(0, 10**5, count)).astype(str).str.zfill(5),
            "colour": words[random.integers(0, len(words), count)],
            "name": pd.Series(random.integers(0, 2**40, count)).map("customer {:011x}".format),
            "member": random.random(count) < 0.5,
            "target": np.where(decimals[:, 0] > 0.3, "yes", "no"),
        }
    )


if __name__ == "__main__":
    main()
