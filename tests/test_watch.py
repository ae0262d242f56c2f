"""The page of a run at work: on this machine alone, with a token, ending with the run."""

import http.client
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from llm_pv.cli.main import app
from llm_pv.cli.watch import LivePage
from llm_pv.erm.attempts import Attempt
from llm_pv.erm.scoring import Score
from llm_pv.proposers.base import Proposal


def attempt(number: int, errors: int) -> Attempt:
    score = Score(rows=4, errors=errors, failed=0, balanced_accuracy=0.5)
    return Attempt(number, Proposal("", cost_usd=0.5), error="<b>no</b>", validation=score)


def ask(url: str, name: str = "", method: str = "GET", host: str = "") -> tuple[int, str]:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    connection.request(method, address.path + name, headers={"Host": host or address.netloc})
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    return reply.status, text


def test_the_state_has_the_attempts_latest_first_with_the_best_and_the_cost() -> None:
    with LivePage() as live:
        for number, errors in ((1, 1), (2, 2)):
            live.attempt(attempt(number, errors))
        status, text = ask(live.url, "state")
    state = json.loads(text)
    assert status == 200
    assert [(a["number"], a["validation"]) for a in state["attempts"]] == [(2, "50.0"), (1, "75.0")]
    assert "75.0%" in state["best"]
    assert "$1.00" in state["spent"]


def test_nothing_is_answered_without_the_token_or_to_another_host() -> None:
    stopped: list[int] = []
    with LivePage(lambda: stopped.append(1)) as live:
        base = f"http://{urlsplit(live.url).netloc}/"
        assert ask(base)[0] == 404
        assert ask(base, "guess/stop", "POST")[0] == 404
        assert ask(live.url, "stop", "POST", host="evil.example:80")[0] == 404
        assert ask(live.url, "stop")[0] == 404, "a link does not stop a run"
        assert stopped == []
        assert ask(live.url, "stop", "POST")[0] == 200
    assert stopped == [1]


def test_learning_prints_the_address_and_closes_the_page_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, reply = tmp_path / "rows.csv", tmp_path / "reply.py"
    rows.write_text("n,y\n" + "".join(f"{n},{int(n > 9)}\n" for n in range(20)))
    reply.write_text("def f(x):\n    return int(int(x) > 9)\n")
    with pytest.raises(SystemExit) as ended:
        app(["learn", str(rows), "--target", "y", "--proposer", f"replay:{reply}",
             "--out", str(tmp_path / "run"), "--watch"])  # fmt: skip
    assert not ended.value.code
    (url,) = re.findall(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", capsys.readouterr().err)
    with pytest.raises(ConnectionRefusedError):
        ask(url)
