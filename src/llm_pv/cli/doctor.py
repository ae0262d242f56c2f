"""``llm-pv doctor``: what this machine supports, and how to add what is missing."""

import os
import platform
from importlib import metadata
from typing import Any

from llm_pv.cli.options import Format
from llm_pv.cli.output import Terminal, make_table, write_json

EXTRAS = {
    "programs": ("sympy", "networkx"),
    "parquet": ("pyarrow",),
    "wasm": ("wasmtime", "componentize-py"),
    "tasks": ("gmpy2", "ucimlrepo"),
    "llm": ("httpx2", "pydantic-ai-slim", "python-dotenv", "tenacity"),
    "telemetry": ("opentelemetry-exporter-otlp-proto-http", "opentelemetry-sdk"),
    "hf": ("torch", "transformers", "accelerate"),
    "finetune": ("torch", "transformers", "accelerate", "peft", "pyyaml", "tensorboard"),
    "baselines": ("deap", "xgboost"),
    "report": ("matplotlib",),
    "sql": ("duckdb", "sqlglot"),
    "database": ("duckdb", "psycopg"),
    "datasets": ("datasets",),
    "skops": ("skops",),
    "mcp": ("mcp",),
    "ray": ("ray",),
}


def doctor(*, format: Format = "table") -> int:  # noqa: A002
    """Show how untrusted code is confined here, and which extras and keys are available.

    Parameters
    ----------
    format
        How it is shown: table, or one JSON object.
    """
    findings = examine()
    if format == "json":
        write_json(findings)
    else:
        _print(findings)
    return 0 if findings["confinement"]["sufficient"] else 1


def examine() -> dict[str, Any]:
    """Return the findings as plain JSON values."""
    from llm_pv import __version__
    from llm_pv.models.registry import PROVIDERS
    from llm_pv.sandbox import probe_confinement

    confinement = probe_confinement()
    return {
        "llm_pv": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "confinement": confinement.record(),
        "extras": {
            extra: {name: _installed(name) for name in packages}
            for extra, packages in EXTRAS.items()
        },
        "keys": {
            name: bool(os.environ.get(name)) for one in PROVIDERS.values() for name in one.keys
        },
    }


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _print(findings: dict[str, Any]) -> None:
    from rich.markup import escape

    console = Terminal()
    console.print(
        f"llm-pv {findings['llm_pv']}, Python {findings['python']}, {findings['platform']}",
        highlight=False,
    )
    columns = ("what", "state", "what to do")
    table = make_table(columns, left=columns, boxed=True)
    confinement = findings["confinement"]
    table.add_row(
        f"confinement: {confinement['backend']}",
        "[green]sufficient[/]" if confinement["sufficient"] else "[red]not sufficient[/]",
        "" if confinement["sufficient"] else "see the layers below, or docs/sandbox.md",
    )
    for layer in confinement["layers"]:
        table.add_row(f"  {layer}", "[green]active[/]", "")
    for layer, remedy in confinement["missing"].items():
        table.add_row(f"  {layer}", "[yellow]missing[/]", escape(remedy))
    for extra, packages in findings["extras"].items():
        absent = [name for name, found in packages.items() if not found]
        table.add_row(
            f"extra {extra}: {', '.join(packages)}",
            "[yellow]missing " + ", ".join(absent) + "[/]" if absent else "[green]installed[/]",
            f"pip install 'llm-pv\\[{extra}]'" if absent else "",
        )
    for name, found in findings["keys"].items():
        table.add_row(name, "[green]set[/]" if found else "not set", "")
    console.print(table)
