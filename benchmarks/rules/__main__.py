"""Check a list of rules: ``python -m benchmarks.rules round7`` (or a path that ends in .toml).

Prints for each rule how its rows divide among the classes, probes whose right answer differs from
the rule's label function, and whether the digest agrees; ends with status 1 if anything is wrong.
"""

import sys
from collections import Counter

from benchmarks.rules import TRAIN, VALIDATION, Rule, digest, draw, load
from llm_pv.data.labels import label_text


def faults(rule: Rule) -> list[str]:
    """Return what is wrong with a rule, a line each."""
    rows = draw(rule)
    found = []
    if len(set(rows.train.labels)) < 2:
        found.append("the training rows have a single class")
    for given, answer in rule.probes:
        computed = label_text(rule.label(given))
        if computed != answer:
            found.append(f"probe {given!r}: {answer!r} by hand, {computed!r} by label()")
    current = digest(rule)
    if rule.digest != current:
        found.append(f'digest: the file has {rule.digest!r}; set rows = "{current}"')
    return found


def main() -> None:
    """Check the list named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.rules LIST")
    wrong = 0
    for rule in load(sys.argv[1]):
        rows = draw(rule)
        amount = TRAIN + VALIDATION + len(rows.test.labels)
        shares = dict(sorted(Counter(rows.train.labels).items()))
        print(f"{rule.kind}: {rule.name}: {amount} distinct rows, {shares}")
        print(f"    {len(rule.probes)} probes; {rule.sentence}")
        for fault in faults(rule):
            print(f"    ! {fault}")
            wrong += 1
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
