"""Preview a model's requests and their cost, and name the rows that leave this machine."""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from llm_pv.cli.main import complain
from llm_pv.cli.output import write_json

if TYPE_CHECKING:
    from llm_pv.data.examples import Splits
    from llm_pv.proposers.llm import LLM
    from llm_pv.proposers.llm.costs import CostEstimate


def preview_record(
    proposer: "LLM", splits: "Splits", seed: int
) -> tuple[dict[str, Any], "CostEstimate"]:
    """Return the exact first request for some rows, and what all attempts may cost."""
    from llm_pv.proposers.llm.costs import estimate_of, most_tool_calls

    preview, first = proposer.preview(splits.train, splits.classes, seed=seed)
    estimate = estimate_of(proposer, preview, first)
    record = {
        "request": {"method": preview.method, "url": preview.url, "body": dict(preview.body)},
        "input_tokens": preview.input_tokens,
        "most_output_tokens": first.limit * first.samples,
        "attempts": proposer.attempts,
        "tool": first.tool,
        "most_tool_calls": most_tool_calls(proposer.settings, first.tool),
        "first_call_usd_at_most": first.worst(proposer.model).usd,
        "usd_about": estimate.likely,
        "usd_at_most": estimate.most,
    }
    return record, estimate


def print_preview(record: dict[str, Any], name: str, format: str) -> None:  # noqa: A002
    """Write what `preview_record` returned to standard output."""
    if format == "json":
        write_json({"name": name} | record)
        return
    request, usd = record["request"], record["first_call_usd_at_most"]
    price = "price unknown" if usd is None else f"at most ${usd:.4g}"
    sys.stdout.write(
        f"=== request: {name}\n{request['method']} {request['url']}\n"
        f"{json.dumps(request['body'], indent=2, ensure_ascii=False)}\n"
        f"=== estimate: {name}\n"
        f"first call: about {record['input_tokens']:,} tokens sent, at most "
        f"{record['most_output_tokens']:,} written, {price}\n"
        f"attempts: {record['attempts']}, each with {_tool_use(record)}\n"
        f"all of them: {_total_price(record)}\n"
    )


def _tool_use(record: Mapping[str, Any]) -> str:
    calls = f"{record['most_tool_calls']} tool calls"
    if record["tool"] == "none":
        return "no tool"
    if record["tool"] == "hosted":
        return f"{calls} at the vendor, which counts them and reads the conversation again for each"
    return f"at most {calls}, which send the conversation again"


def _total_price(record: Mapping[str, Any]) -> str:
    if record["usd_at_most"] is None:
        return "price unknown"
    return f"about ${record['usd_about']:.4g}, at most ${record['usd_at_most']:.4g}"


def preview_models(
    proposers: "Iterable[LLM]",
    splits: "Splits",
    seed: int,
    name: str,
    format: str,  # noqa: A002
) -> None:
    """Show the exact first request of each model for some rows, and what all may cost together."""
    from llm_pv.proposers.llm.costs import CostEstimate

    estimates = []
    for proposer in proposers:
        record, estimate = preview_record(proposer, splits, seed)
        model = {"model": proposer.model.name}
        print_preview(model | record, name, format)
        estimates.append(estimate)
    if len(estimates) > 1:
        complain(f"{len(estimates)} models together: {CostEstimate.total(estimates)}")


def disclose(proposers: "Iterable[LLM]", splits: "Splits", seed: int, *, after: str = "") -> None:
    """Write to standard error which rows and columns will leave this machine, and where to.

    Parameters
    ----------
    after
        A free proposer that may make the calls unnecessary, empty for none.
    """
    from llm_pv.proposers.llm.prompt.messages import disclosure

    condition = f"unless a program of {after} has no error on validation rows, " if after else ""
    for proposer in proposers:
        if proposer.model.destination is None:
            continue
        _, shown, _ = proposer.prompt(splits.train, splits.classes, seed=seed)
        told = disclosure(
            shown,
            splits.columns,
            f"{proposer.model.name} at {proposer.model.destination}",
            tool_rows=len(splits.train) if proposer.tool_place == "local" else 0,
        )
        complain(condition + told)


def disclose_tasks(*proposers: "LLM") -> None:
    """Write to standard error that rows of the benchmark's tasks will leave this machine."""
    for proposer in proposers:
        if proposer.model.destination is not None:
            complain(
                f"{proposer.model.name} at {proposer.model.destination} is sent the training rows "
                "of the benchmark's tasks; no other row"
            )
