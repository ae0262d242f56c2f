"""Cost of the WebAssembly sandbox: ``python -m benchmarks.wasm``.

Prints, for two programs, the milliseconds for a candidate on 100 rows and the microseconds a row
on 10,000, each beside the same function called in this process; and what starting costs.
"""

import statistics
import time
from collections.abc import Callable

from llm_pv.sandbox.execution import Limits
from llm_pv.sandbox.wasm import WasmWorker, wasm_available

PROGRAMS = {
    "parity": "def f(x): return x.count('1') % 2",
    "dyck": (
        "def f(x):\n"
        "    depth = 0\n"
        "    for c in x:\n"
        "        depth += 1 if c == '1' else -1\n"
        "        if depth < 0: return 0\n"
        "    return depth == 0"
    ),
}


def seconds(call: Callable[[], object], times: int) -> float:
    """Return the median duration of a call."""
    durations = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


def main() -> None:
    """Measure and print."""
    if (missing := wasm_available()) is not None:
        print(missing)
        return
    worker = WasmWorker()
    started = time.perf_counter()
    worker.run(PROGRAMS["parity"], [], Limits())
    print(f"first program, building included: {time.perf_counter() - started:.2f} s")
    worker.close()
    started = time.perf_counter()
    worker.run(PROGRAMS["parity"], [], Limits())
    print(f"first program of a process: {(time.perf_counter() - started) * 1e3:.0f} ms")
    rows = ["1100" * 25] * 10_000
    for name, source in PROGRAMS.items():
        namespace: dict[str, Callable[[str], object]] = {}
        exec(source, namespace)
        direct = seconds(lambda f=namespace["f"]: [f(x) for x in rows], 5)  # type: ignore[misc]
        fixed = seconds(lambda s=source: worker.run(s, rows[:100], Limits()), 50)  # type: ignore[misc]
        many = seconds(lambda s=source: worker.run(s, rows, Limits()), 5)  # type: ignore[misc]
        print(
            f"{name}: {fixed * 1e3:.1f} ms on 100 rows; on 10,000 rows {many * 1e3:.0f} ms, "
            f"in-process {direct * 1e3:.0f} ms: {(many - direct) * 100:.2f} microseconds a row"
        )
    worker.close()


if __name__ == "__main__":
    main()
