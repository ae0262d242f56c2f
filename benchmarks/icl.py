"""Prompts a second in context: ``python -m benchmarks.icl --engine hf`` or ``--engine vllm``.

200 examples of 100 bits are shared by all prompts, about 20,000 tokens; the model has random
weights. With ``hf``: the three ways to have a label, `generate` forced to write 16 tokens. With
``vllm``, in an environment that has it: prompts together with the prefix cache, against one at a
time without it, one token each. Every way runs in a process of its own; a first pass over two
prompts, which compiles and allocates, is over other examples and is not counted.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_BITS = 100

SIZES = {"tiny": {"hidden": 64, "layers": 2}, "18m": {"hidden": 480, "layers": 11}}
"""0.2 and 18 million parameters."""

WAYS = {
    "hf": ("generate-16", "constrained", "likelihood"),
    "vllm": ("together-cached", "alone-uncached", "likelihood", "generate-16"),
}


def main() -> None:
    """Measure every way and print a line of figures for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=sorted(WAYS), default="hf")
    parser.add_argument("--size", choices=sorted(SIZES), default="18m")
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--prompts-alone", type=int, default=8)
    parser.add_argument("--way", help="measure one, in this process")
    parser.add_argument("--model", help="a folder with a model instead of a random one")
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(_measure(arguments)), flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model or _random_model(Path(folder), arguments.size)
        rates = {}
        for way in WAYS[arguments.engine]:
            command = [sys.executable, "-m", "benchmarks.icl", *sys.argv[1:]]
            command += ["--way", way, "--model", str(model)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
            figures = json.loads(done.stdout.splitlines()[-1])
            rates[way] = figures["prompts_per_second"]
            print(json.dumps(figures), flush=True)
    pairs = (("likelihood", "generate-16"), ("together-cached", "alone-uncached"))
    for fast, slow in pairs:
        if fast in rates and slow in rates:
            print(f"{fast} against {slow}: {rates[fast] / rates[slow]:.1f} times", flush=True)


def _measure(arguments: argparse.Namespace) -> dict[str, object]:
    from llm_pv.models import ModelOptions
    from llm_pv.models.label_queries import AnswerMode, LabelQuery
    from llm_pv.models.registry import make_model

    way = arguments.way
    engine: dict[str, object] = {"dtype": "float32"}
    if arguments.engine == "vllm":
        engine |= {"enable_prefix_caching": way != "alone-uncached"}
    extra: dict[str, object] = {"engine": engine}
    new_tokens = 16 if way == "generate-16" else 1
    if way == "generate-16":
        # Random weights end an answer at any token: 16 are wanted from every prompt.
        name = "min_new_tokens" if arguments.engine == "hf" else "min_tokens"
        extra[name] = 16
    options = ModelOptions(
        reasoning_effort=None, temperature=0.2, top_p=0.95, context_tokens=25_000, extra=extra
    )
    model = make_model(f"{arguments.engine}:{arguments.model}", options)
    mode: AnswerMode = "generate"
    if way in ("constrained", "likelihood"):
        mode = way
    query = LabelQuery(("0", "1"), mode, max_new_tokens=new_tokens)
    alone = way == "alone-uncached"
    count = arguments.prompts_alone if alone else arguments.prompts
    _answer(model, _prompts(arguments.examples, 2, 1), query, alone=alone)
    prompts = _prompts(arguments.examples, count, 2)
    start = time.perf_counter()
    _answer(model, prompts, query, alone=alone)
    seconds = time.perf_counter() - start
    tokens = model.count_prompts(prompts[:1], query)[0]
    model.close()
    return {
        "way": way,
        "prompt_tokens": tokens,
        "prompts": count,
        "seconds": round(seconds, 2),
        "prompts_per_second": round(count / seconds, 3),
    }


def _answer(model: object, prompts: Sequence[str], query: object, *, alone: bool) -> None:
    """Have every answer, all prompts handed over together or each by itself."""
    groups = [[prompt] for prompt in prompts] if alone else [prompts]
    for group in groups:
        for _ in model.choose(group, query, seeds=range(len(group))):  # type: ignore[attr-defined]
            pass


def _prompts(examples: int, queries: int, seed: int) -> list[str]:
    """Return prompts of a data set of their own, so that no cache knows them."""
    from llm_pv.data.examples import Classes, Examples
    from llm_pv.tracks.icl.texts import write_prompts

    draw = random.Random(seed)
    inputs = [f"{draw.getrandbits(_BITS):0{_BITS}b}" for _ in range(examples + queries)]
    labels = [str(text.count("1") % 2) for text in inputs]
    shown = Examples(inputs[:examples], labels[:examples])
    return write_prompts(shown, Classes(("0", "1"), (0, 1)), inputs[examples:])


def _random_model(folder: Path, size: str) -> Path:
    sys.path.append(str(_ROOT / "tests"))
    import tiny_models

    tokenizer = tiny_models.make_tokenizer()
    model = tiny_models.make_model(tokenizer, context=32_768, **SIZES[size])
    print(f"{sum(weight.numel() for weight in model.parameters()):,} parameters", flush=True)
    return tiny_models.save(model, tokenizer, folder)


if __name__ == "__main__":
    main()
