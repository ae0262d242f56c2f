"""The committed digest of every task: the same bytes on every machine and version.

To write the digests anew after a sampler was changed on purpose:
``PYTHONPATH=src python tests/test_tasks_digests.py``.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_pv.data.examples import Splits
from llm_pv.tasks import TASKS, SamplerName, load_task

FILE = Path(__file__).parent / "data" / "task_digests.json"
SAMPLERS: tuple[SamplerName, ...] = ("paper", "hard")
OFFLINE = [known.name for known in TASKS.values() if known.alphabet != "table"] + ["breast_cancer"]
CASES = [f"{name}/{sampler}" for name in OFFLINE for sampler in SAMPLERS]


def digest(splits: Splits) -> str:
    parts = [part.digest() for part in (splits.train, splits.validation, splits.test)]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def digest_of(case: str) -> str:
    """Return the digest of a case's rows at its first standard length."""
    name, _, sampler = case.partition("/")
    kind: SamplerName = "hard" if sampler == "hard" else "paper"
    return digest(load_task(name, sampler=kind, train_size=40, validation_size=40, test_size=100))


@pytest.mark.parametrize("case", CASES)
def test_rows_have_their_committed_digest(case: str) -> None:
    assert digest_of(case) == json.loads(FILE.read_text())[case]


def test_a_fresh_process_draws_the_same_rows() -> None:
    cases = ["poly_f2_deg3/paper", "graph_has_cycle/hard", "prime_plus_47/paper"]
    code = "import sys; from test_tasks_digests import digest_of; print(digest_of(sys.argv[1]))"
    here = Path(__file__).parent
    for case in cases:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(here.parent / "src"), str(here)]),
            "PYTHONHASHSEED": "123",
        }
        done = subprocess.run(
            [sys.executable, "-c", code, case],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        assert done.stdout.strip() == json.loads(FILE.read_text())[case]


if __name__ == "__main__":
    FILE.write_text(json.dumps({case: digest_of(case) for case in CASES}, indent=1) + "\n")
