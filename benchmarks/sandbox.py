"""What the sandbox costs: run with `python -m benchmarks.sandbox` from the repository root.

For parity of strings of 100 digits and for a rule over table rows, medians over several repeats:
the fixed cost of one candidate on 100 rows on a single worker, a candidate's share when many run
on all workers, and what a row of 10,000 costs more than calling the same function in this process.
"""

import platform
import random
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llm_pv.sandbox import Batch, Limits, Sandbox

if TYPE_CHECKING:
    from llm_pv.data.examples import Input

PARITY = "def f(x):\n    return x.count('1') % 2\n"
RULE = "def f(x):\n    return 'big' if x['a'] > 0.5 and x['b'] > 10 else 'small'\n"
PACKAGES = {
    "numpy": "import numpy\n" + PARITY,
    "sympy": "import sympy\n" + PARITY,
    "networkx": "import networkx\n" + PARITY,
}


def median_seconds(action: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the median and the least time an action takes."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken), min(taken)


def function_of(source: str) -> Callable[[Any], object]:
    """Return the program's function, in this process."""
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    function: Callable[[Any], object] = namespace["f"]
    return function


def show(what: str, seconds: tuple[float, float], unit: float, name: str) -> None:
    """Print one line of the table."""
    print(f"{what:<66}{seconds[0] * unit:>8.2f}{seconds[1] * unit:>8.2f} {name}")


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
    print(f"{'':<66}{'median':>8}{'best':>8}")
    with Sandbox(workers=1) as one, Sandbox(Limits()) as all_workers:
        start = time.perf_counter()
        Sandbox(workers=1).close()
        starting = time.perf_counter() - start
        show("starting and ending a sandbox", (starting, starting), 1e3, "ms")
        few = strings[:100]
        one.predict(PARITY, few)
        fixed = median_seconds(lambda: one.predict(PARITY, few), 300)
        show("one candidate, 100 strings, one worker", fixed, 1e3, "ms")
        for name, source in PACKAGES.items():
            one.predict(source, few)
            cost = median_seconds(lambda source=source: one.predict(source, few), 50)  # type: ignore[misc]
            show(f"one candidate importing {name}", cost, 1e3, "ms")
        list(all_workers.predict_many([PARITY] * 10, few))
        many = median_seconds(lambda: list(all_workers.predict_many([PARITY] * 200, few)), 5)
        show("one of 200 candidates, 100 strings, all workers", many, 1e3 / 200, "ms")
        for what, source, inputs in (
            ("strings", PARITY, strings),
            ("table rows of 11 columns", RULE, rows),
            ("table rows of 11 columns, prepared as a Batch", RULE, Batch(rows)),
        ):
            function = function_of(source)
            plain, _ = median_seconds(lambda f=function, i=inputs: [f(row) for row in i], 15)  # type: ignore[misc]
            for workers, sandbox in (("one worker", one), ("all workers", all_workers)):
                sandbox.predict(source, inputs)
                whole = median_seconds(
                    lambda s=source, i=inputs, box=sandbox: box.predict(s, i),  # type: ignore[misc]
                    25,
                )
                added = (whole[0] - fixed[0] - plain, whole[1] - fixed[1] - plain)
                show(f"a row added, 10,000 {what}, {workers}", added, 1e6 / 10_000, "us")
                show(f"    the whole run ({plain * 1e3:.1f} ms in this process)", whole, 1e3, "ms")


if __name__ == "__main__":
    main()
