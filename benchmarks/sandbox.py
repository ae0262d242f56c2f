"""What the sandbox costs: run with `python -m benchmarks.sandbox` from the repository root.

For parity of strings of 100 digits and for a rule over table rows, medians over several repeats:
the fixed cost of one candidate on 100 rows on a single worker, a candidate's share when many run
on all workers, and what a row of 10,000 costs more than calling the same function in this process;
then what a call of the Python tool costs. The CPU column (the caller's and the candidate's) is the
one to compare on a busy machine; of the tool's calls it shows the caller's alone.
"""

import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from llm_pv.sandbox import Batch, Execution, PythonTool, Sandbox

if TYPE_CHECKING:
    from llm_pv.data.examples import Input

PARITY = "def f(x):\n    return x.count('1') % 2\n"
RULE = "def f(x):\n    return 'big' if x['a'] > 0.5 and x['b'] > 10 else 'small'\n"
PACKAGES = {
    "numpy": "import numpy\n" + PARITY,
    "sympy": "import sympy\n" + PARITY,
    "networkx": "import networkx\n" + PARITY,
}


@dataclass(frozen=True)
class Cost:
    """Seconds an action takes: by the clock, the least of these, and of CPU here and inside."""

    median: float
    best: float
    cpu: float

    def minus(self, *others: "Cost") -> "Cost":
        """Return what is left when others are taken off."""
        left = self
        for other in others:
            left = Cost(left.median - other.median, left.best - other.best, left.cpu - other.cpu)
        return left


def measure(action: Callable[[], object], repeats: int) -> Cost:
    """Return what an action costs, over several repeats."""
    clock, cpu = [], []
    for _ in range(repeats):
        start, start_cpu = time.perf_counter(), time.process_time()
        done = action()
        clock.append(time.perf_counter() - start)
        runs = done if isinstance(done, list) else [done]
        inside = sum(run.cpu_seconds for run in runs if isinstance(run, Execution))
        cpu.append(time.process_time() - start_cpu + inside)
    return Cost(statistics.median(clock), min(clock), statistics.median(cpu))


def function_of(source: str) -> Callable[[Any], object]:
    """Return the program's function, in this process."""
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    function: Callable[[Any], object] = namespace["f"]
    return function


def show(what: str, cost: Cost, unit: float, name: str) -> None:
    """Print one line of the table."""
    figures = "".join(f"{value * unit:>9.2f}" for value in (cost.median, cost.best, cost.cpu))
    print(f"{what:<66}{figures} {name}")


def main() -> None:
    """Measure and print."""
    generator = random.Random(0)
    strings = ["".join(generator.choices("01", k=100)) for _ in range(10_000)]
    names = ["a", "b", *(f"column {number}" for number in range(9))]
    rows: list[Input] = [
        dict(zip(names, [generator.random(), row, *[1.5] * 9], strict=True))
        for row in range(10_000)
    ]
    print(f"Python {platform.python_version()}, {platform.machine()}")
    print(f"load of the machine: {', '.join(f'{load:.1f}' for load in os.getloadavg())}")
    print(f"{'':<66}{'median':>9}{'best':>9}{'CPU':>9}")
    with Sandbox(workers=1) as one, Sandbox() as every:
        show(
            "starting and ending a sandbox",
            measure(lambda: Sandbox(workers=1).close(), 5),
            1e3,
            "ms",
        )
        few = strings[:100]
        one.predict(PARITY, few)
        fixed = measure(lambda: one.predict(PARITY, few), 300)
        show("one candidate, 100 strings, one worker", fixed, 1e3, "ms")
        for name, source in PACKAGES.items():
            one.predict(source, few)
            action = partial(one.predict, source, few)
            show(f"one candidate importing {name}", measure(action, 50), 1e3, "ms")
        many = measure(lambda: list(every.predict_many([PARITY] * 200, few)), 5)
        show("one of 200 candidates, 100 strings, all workers", many, 1e3 / 200, "ms")
        for what, source, inputs in (
            ("strings", PARITY, strings),
            ("table rows", RULE, rows),
            ("table rows, prepared as a Batch", RULE, Batch(rows)),
        ):
            plain = measure(partial(call_here, function_of(source), inputs), 15)
            show(f"10,000 {what}, called in this process", plain, 1e3, "ms")
            for workers, sandbox in (("one worker", one), ("all workers", every)):
                sandbox.predict(source, inputs)
                whole = measure(partial(sandbox.predict, source, inputs), 25)
                show(f"    in the sandbox, {workers}", whole, 1e3, "ms")
                show("        added by a row", whole.minus(fixed, plain), 1e6 / 10_000, "us")
    measure_tool(strings)


def measure_tool(strings: list[str]) -> None:
    """Measure calls of the Python tool, by how many rows it holds and what the code does."""
    look = "sum(x.count('1') % 2 == y for x, y in rows)"
    for size in (100, 1_000, 10_000):
        rows: list[tuple[Input, object]] = [(text, text.count("1") % 2) for text in strings[:size]]
        with PythonTool(rows, workers=1) as tool:
            for what, code in (("trivial code", "len(rows)"), ("a look at every row", look)):
                tool.run(code)
                calls = measure(partial(tool.run, code), 200)
                show(f"the Python tool, {size:,} rows: {what}", calls, 1e3, "ms")
            if size == 100:
                for what, code in (
                    ("an error and its traceback", "rows[size]"),
                    ("a million characters printed", "print('x' * 1_000_000)"),
                    ("10,000 lines printed", "for n in range(10_000): print(n)"),
                    ("numpy", "import numpy\nnumpy.zeros(3)"),
                ):
                    tool.run(code)
                    calls = measure(partial(tool.run, code), 50)
                    show(f"the Python tool, {size} rows: {what}", calls, 1e3, "ms")


def call_here(function: Callable[[Any], object], inputs: Iterable[object]) -> None:
    """Call a function on each input, in this process."""
    for row in inputs:
        function(row)


if __name__ == "__main__":
    main()
