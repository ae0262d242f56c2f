"""What a grid of tasks is made of; importing it takes no time, so that every help page can."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Sampler: TypeAlias = Literal["paper", "hard"]


@dataclass(frozen=True)
class GridSettings:
    """Tasks by lengths by trials, and how their data sets are drawn."""

    functions: tuple[str, ...] = ()
    "Tasks by id or name; default every published id."
    lengths: tuple[int, ...] | None = None
    "Lengths of the inputs; default each task's own. Tables have one length each."
    trials: int = 5
    "Independent repetitions of each cell, each on its own data set."
    same_data: bool = False
    "Repeat all trials on one data set."
    sampler: Sampler = "paper"
    "As in the paper, or with classes that agree in every cheap statistic."
    train_size: int = 100
    "Training rows, half of each class."
    validation_size: int = 100
    "Validation rows, half of each class."
    test_size: int = 10_000
    "Test rows, half of each class."
    seed: int = 42
    "Seed of data sets and searches."
    strict_sizes: bool = False
    "Fail if a task has too few inputs for these sizes, instead of reducing them."
    table: Path | None = None
    "CSV file with the rows of the one requested table task, instead of fetching them."
    raw_tables: bool = False
    "Keep the original names and values of tables."
    test_lengths: tuple[int, ...] | None = None
    "Lengths that what was learned is also scored at; default two and four times a program's own."
