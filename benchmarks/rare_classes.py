"""Sets with a rare class, learned for accuracy and for balanced accuracy.

Run ``python -m benchmarks.rare_classes [--sets ...] [--seconds 600]``; the sets are in
`benchmarks.table_sets`. A program that answers one class everywhere has a balanced accuracy of 50%.
"""

import argparse
import sys

from benchmarks.table_sets import load
from llm_pv import Search, learn
from llm_pv.erm.metrics import Metric, MetricName

RARE = ("german credit", "attrition", "car-vgood", "abalone19")


def measure(name: str, metric: MetricName, seconds: float) -> str:
    """Return a line of a table: what was learned from a set, on its test rows."""
    table = load(name)
    search = Search(metric=Metric(metric), budget_seconds=seconds, early_stop=False)
    learned = learn(table.rows, table.labels, search=search)
    if learned.program is None or learned.test is None or learned.certificate is None:
        return f"| {name} | {metric} | {learned.verdict} |"
    rare = min(learned.certificate.classes, key=lambda found: found.rows)
    bound = learned.certificate.class_bounds[rare.label]
    return (
        f"| {name} | {metric} | {learned.test.accuracy:.1%} | "
        f"{learned.test.balanced_accuracy:.1%} | {rare.rows - rare.errors} of {rare.rows} | "
        f"{bound:.1%} | {learned.certificate.position} of {learned.certificate.verified} |"
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", default=RARE, choices=RARE)
    parser.add_argument("--metrics", nargs="*", default=("accuracy", "balanced-accuracy"))
    parser.add_argument("--seconds", type=float, default=600.0, help="cap on one search")
    options = parser.parse_args()
    sys.stdout.write(
        "| set | metric | test accuracy | test balanced accuracy | rare validation rows found | "
        "bound of their error | program |\n|---|---|---|---|---|---|---|\n"
    )
    for name in options.sets:
        for metric in options.metrics:
            sys.stdout.write(measure(name, metric, options.seconds) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
