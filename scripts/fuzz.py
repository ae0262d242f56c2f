"""Feed what reads foreign bytes with bytes that reach ever more of it, until something breaks.

Run it as ``python scripts/fuzz.py [TARGET ...] [--seconds N]`` from the repository root; it needs
``pip install atheris``. Each target of ``tests/fuzz_targets.py`` runs in a process of its own for
so many seconds, from its seeds and from what earlier runs have kept under ``--corpus``. What breaks
one is left there as ``crash-...`` and named; the exit status is then 1. Mend it, and add the bytes
to ``FOUND`` in ``tests/test_fuzz.py``.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def fuzz(target: str, seconds: int, corpus: Path) -> None:
    """Fuzz one target in this process; does not return."""
    import atheris  # type: ignore[import-untyped]

    with atheris.instrument_imports(include=["llm_pv", "fuzz_targets"]):
        from fuzz_targets import SEEDS, TARGETS

    kept = corpus / target
    kept.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[target]):
        (kept / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}", f"-artifact_prefix={corpus / target}-", "-max_len=4096",
        "-timeout=20", "-rss_limit_mb=4096", "-print_final_stats=1", "-verbosity=0",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(kept)], TARGETS[target])
    atheris.Fuzz()


def main() -> int:
    """Read the options and fuzz each target in a process of its own."""
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]
    parser = argparse.ArgumentParser(description="Fuzz what reads foreign bytes.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default all of them")
    parser.add_argument("--seconds", type=int, default=120, help="for each target")
    parser.add_argument("--corpus", type=Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("--here", action="store_true", help="one target, in this process")
    asked = parser.parse_args()
    if asked.here:
        fuzz(asked.targets[0], asked.seconds, asked.corpus)
    from fuzz_targets import SEEDS

    unknown = set(asked.targets) - set(SEEDS)
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(SEEDS)}")
    broken = []
    for target in asked.targets or SEEDS:
        print(f"{target}: {asked.seconds} s", flush=True)
        command = [sys.executable, __file__, target, "--here", f"--seconds={asked.seconds}"]
        ended = subprocess.run([*command, f"--corpus={asked.corpus}"], check=False)
        broken += [target] if ended.returncode else []
    print(f"broken: {', '.join(broken) or 'none'}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
