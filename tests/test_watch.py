"""The page of a run at work: on this machine alone, with a token, ending with the run."""

import http.client
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from llm_pv.cli.main import app
from llm_pv.cli.progress import AttemptDetails, cell_progress, learn_progress
from llm_pv.erm.attempts import Attempt
from llm_pv.erm.scoring import Score
from llm_pv.proposers.base import Proposal
from llm_pv.report.live_page import LivePage, RunView
from llm_pv.runs.cells import Cell


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


def nothing() -> RunView:
    return RunView("", "", "", (), ())


def test_the_state_of_learning_has_the_attempts_latest_first_with_the_best_and_the_cost() -> None:
    with learn_progress() as progress, LivePage(progress.view) as live:
        progress.search("sums", 1_200)
        before = json.loads(ask(live.url, "state")[1])
        for number, errors in ((1, 1), (2, 2)):
            progress.attempt(attempt(number, errors))
        status, text = ask(live.url, "state")
    state = json.loads(text)
    assert status == 200
    assert (before["state"], before["rows"]) == ("searching: sums, 1,200 compared", [])
    assert [(number, validation) for number, validation, *_ in state["rows"]] == [
        ("2", "50.0"),
        ("1", "75.0"),
    ]
    assert "75.0%" in state["best"]
    assert "$1.00" in state["spent"]


def test_the_state_of_a_grid_has_running_cells_before_those_that_ended() -> None:
    cells = [Cell("fn_a", 50, "paper", trial) for trial in range(3)]
    with cell_progress(AttemptDetails(), quiet=True) as progress:
        progress.on_plan(3, 0)
        for cell in cells[:2]:
            progress.on_start(cell)
        progress.on_event(cells[0], attempt(1, 1))
        progress.on_event(cells[1], attempt(1, 2))
        progress.on_end(cells[0], {"status": "done", "reason": ""})
        view = progress.view()
    assert view.state == "1 of 3 done"
    assert [row[:2] for row in view.rows] == [
        ("fn_a L=50 trial 2", "running"),
        ("fn_a L=50 trial 1", "done"),
    ]
    assert "50.0%" in view.rows[0][2]
    assert "75.0%" in view.rows[1][2]
    assert "62.5%" in view.best, "the mean of the best of each trial"
    assert "$1.00" in view.spent


def test_nothing_is_answered_without_the_token_or_to_another_host() -> None:
    stopped: list[int] = []
    with LivePage(nothing, lambda: stopped.append(1)) as live:
        base = f"http://{urlsplit(live.url).netloc}/"
        assert ask(base)[0] == 404
        assert ask(base, "guess/stop", "POST")[0] == 404
        assert ask(live.url, "stop", "POST", host="evil.example:80")[0] == 404
        assert ask(live.url, "stop")[0] == 404, "a link does not stop a run"
        assert stopped == []
        assert ask(live.url, "stop", "POST")[0] == 200
    assert stopped == [1]


@pytest.mark.parametrize(
    "command", ["learn rows.csv --target y --proposer replay:reply.py",
                "synthesize --functions fn_a --lengths 20 --trials 1 --proposer replay:reply.py "
                "--no-transfer --train-size 20 --validation-size 20 --test-size 20"],
)  # fmt: skip
def test_a_watched_run_prints_the_address_and_closes_the_page_at_its_end(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("n,y\n" + "".join(f"{n},{int(n > 9)}\n" for n in range(20)))
    Path("reply.py").write_text("def f(x):\n    return int(x[-1] > '5')\n")
    with pytest.raises(SystemExit) as ended:
        app([*command.split(), "--out", "run", "--watch"])
    assert not ended.value.code
    (url,) = re.findall(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", capsys.readouterr().err)
    with pytest.raises(ConnectionRefusedError):
        ask(url)
