"""Plant faults in the packages that ``[tool.mutmut]`` names and count how many the tests notice.

``python scripts/mutation.py [NUMBER] [SEED]`` tries a seeded sample of that many faults and lists
those that went unnoticed; ``mutmut show NAME`` prints one. Some of them change nothing that can be
seen (equivalent ones); a person has to tell those apart.
"""

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
MUTMUT = [sys.executable, "-m", "mutmut"]
NOTICED: dict[int | None, str] = {
    1: "failed",
    3: "failed",
    24: "too slow",
    36: "too slow",
    152: "too slow",
    255: "too slow",
}
UNNOTICED: dict[int | None, str] = {0: "passed", 5: "no test", 33: "no test"}


def exit_codes() -> dict[str, int | None]:
    """Return the exit status of the tests by fault; None where it was not tried."""
    codes: dict[str, int | None] = {}
    for path in sorted((ROOT / "mutants").rglob("*.meta")):
        codes |= json.loads(path.read_text("utf-8"))["exit_code_by_key"]
    return codes


def main(number: int, seed: int) -> None:
    """Try a sample and print the share of it that was noticed."""
    # No fault has this name: mutmut writes the faults down and tries none.
    subprocess.run([*MUTMUT, "run", "none"], cwd=ROOT, check=False, capture_output=True)
    names = sorted(exit_codes())
    if not names:
        sys.exit("mutmut wrote no faults; run `mutmut run` to see why")
    sample = random.Random(seed).sample(names, min(number, len(names)))
    subprocess.run([*MUTMUT, "run", "--max-children", "2", *sample], cwd=ROOT, check=True)
    codes = exit_codes()
    what: dict[int | None, str] = {None: "not tried", **NOTICED, **UNNOTICED}
    counts = Counter(what.get(codes[name], "not tried") for name in sample)
    noticed = counts["failed"] + counts["too slow"]
    tried = noticed + counts["passed"] + counts["no test"]
    for name in sorted(sample):
        if codes[name] in UNNOTICED:
            print(f"unnoticed ({what[codes[name]]}): {name}")
    print(f"{noticed} of {tried} noticed, {noticed / max(tried, 1):.1%}; {dict(counts)}")
    print(f"{len(names)} faults in all; sample of {len(sample)}, seed {seed}")


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:3]]
    main(*given, *[300, 0][len(given) :])
