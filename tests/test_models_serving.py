"""The model in a program: interrupts, programs that forget to close it, the counting server."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from wire_servers import Wire, WireServer

ROOT = Path(__file__).parents[1]


def start(code: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


ASK = """
from llm_pv.models import ModelOptions, Request, UserMessage, make_model
model = make_model("openai-compatible:tiny", ModelOptions(base_url={base!r}))
print("asking", flush=True)
"""


def test_an_interrupt_ends_a_call_that_waits() -> None:
    with WireServer([Wire(silent=True)]) as server:
        code = ASK.format(base=f"{server.url}/v1")
        code += (
            "try:\n    model.complete(Request([UserMessage('hi')]))\n"
            "except KeyboardInterrupt:\n    model.close()\n"
            "    print('interrupted')"
        )
        with start(code) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "asking\n"
            while not server.seen:
                time.sleep(0.005)
            process.send_signal(signal.SIGINT)
            said, complaints = process.communicate()
    assert (said, complaints, process.returncode) == ("interrupted\n", "", 0)


def test_a_program_that_forgets_to_close_a_model_ends() -> None:
    with WireServer([Wire(silent=True)]) as server:
        code = ASK.format(base=f"{server.url}/v1") + "print('done')"
        with start(code) as process:
            said, _ = process.communicate()
    assert (said, process.returncode) == ("asking\ndone\n", 0)


@pytest.mark.parametrize("name", ["replies.json", "reply.txt"])
def test_the_counting_server_serves_scripts_and_logs(tmp_path: Path, name: str) -> None:
    replies = tmp_path / name
    script = {"turns": [{"code": "print(1)"}, {"text": "done"}]}
    replies.write_text("done" if name.endswith("txt") else json.dumps(script))
    log = tmp_path / "log.jsonl"
    command = [sys.executable, str(ROOT / "tests" / "fake_openai_server.py")]
    with subprocess.Popen(
        [*command, "--reply", str(replies), "--log", str(log)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        last = {"role": "tool", "tool_call_id": "call_0", "content": "1"}
        first = post(f"{url}/v1/chat/completions", {"model": "m", "messages": []})
        second = post(f"{url}/v1/chat/completions", {"model": "m", "messages": [last]})
        with urllib.request.urlopen(f"{url}/count") as counted:
            count = json.load(counted)
        process.send_signal(signal.SIGINT)
        process.wait()
    message = first["choices"][0]["message"]
    assert ("tool_calls" in message) == name.endswith("json")
    assert second["choices"][0]["message"]["content"] == "done"
    assert count == {"requests": 2, "answered": 2}
    assert [json.loads(line)["number"] for line in log.read_text().splitlines()] == [0, 1]


def post(url: str, body: object) -> dict[str, list[dict[str, dict[str, object]]]]:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        read: dict[str, list[dict[str, dict[str, object]]]] = json.load(reply)
        return read
