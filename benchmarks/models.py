"""Many calls of a model that takes its time: how close the run comes to the calls alone.

``python -m benchmarks.models`` asks a server on loopback, in a process of its own, for 300 replies
of 1 second each at concurrency 20, with everything on the disk and no early stop: 15 seconds is the
least it can take.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPLY = '{"code": "def f(x):\\n    return 1\\n"}'


def main() -> None:
    """Run the command once and print its seconds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--concurrency", type=int, default=20)
    parser.add_argument("--delay", type=float, default=1.0, help="seconds a call takes")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = random.Random(0).sample(range(2**14), 300)
        (folder / "rows.txt").write_text(
            "".join(f"{row:014b} -> {row.bit_count() % 2}\n" for row in rows)
        )
        (folder / "reply.txt").write_text(REPLY)
        server = subprocess.Popen(
            [sys.executable, ROOT / "tests" / "fake_openai_server.py", "--reply",
             folder / "reply.txt", "--delay", str(given.delay)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            command = [
                sys.executable, "-m", "llm_pv", "learn", str(folder / "rows.txt"),
                "--model", "openai-compatible:fake", "--base-url", f"http://127.0.0.1:{port}/v1",
                "--attempts", str(given.calls), "--concurrency", str(given.concurrency),
                "--tool", "none", "--refine", "0", "--no-early-stop", "--out", str(folder / "run"),
            ]  # fmt: skip
            started = time.perf_counter()
            subprocess.run(command, check=False, capture_output=True)
            seconds = time.perf_counter() - started
        finally:
            server.kill()
            server.wait()
        turns = (folder / "run" / "replies.jsonl").read_bytes().count(b'"kind": "turn"')
    least = given.calls * given.delay / given.concurrency
    print(f"{turns} calls in {seconds:.2f} s, start and end included; at least {least:.2f} s")


if __name__ == "__main__":
    main()
