"""Groups of options common to several commands."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from llm_pv.data.reading import Reading
from llm_pv.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_pv.api import SplitSizes
    from llm_pv.data.examples import Splits
    from llm_pv.sandbox import Confinement, Limits, Sandbox

Format = Literal["table", "json"]
Track = Literal["mlflow", "wandb"]


def _no_option(_: object, word: str | None) -> None:
    if word is not None and word.startswith("-") and word != "-":
        raise ValueError(f"there is no option {word}")


Rows = Annotated[str, Parameter(allow_leading_hyphen=True, validator=_no_option)]
"""A file with rows, or ``-`` for standard input."""

FIRST = Group("Options used most", sort_key=0)
"""The options that a command shows first; the others follow under their headings."""

ROWS = Group("Rows of your own", sort_key=2)
OUTPUT = Group("Output", sort_key=5)
_SANDBOX = Group("Sandbox", sort_key=10)


@Parameter(name="*", group=OUTPUT)
@dataclass(frozen=True)
class OutputOptions:
    """Where a run goes, and how it is shown."""

    out: Annotated[Path | None, Parameter(group=FIRST)] = None
    "Run directory; default a new folder under runs/."
    format: Annotated[Format, Parameter(group=FIRST)] = "table"
    "How the results are shown: table, or one JSON object."
    track: Track | None = None
    "Send figures to this experiment tracker as they come."
    watch: bool = False
    "Serve a page on 127.0.0.1 that shows the run while it works, with a button to stop it."


DEFAULT_OUTPUT_OPTIONS = OutputOptions()


@Parameter(name="*", group=ROWS)
@dataclass(frozen=True)
class ReadingOptions(Reading):
    """How a user's rows are read."""

    target: Annotated[str | None, Parameter(group=FIRST)] = None
    "Column that holds the label."
    types: Annotated[tuple[str, ...], Parameter(group=FIRST)] = ()
    "NAME=TYPE (str, int, float, bool): how a column is read; repeat for several."
    data_format: str | None = None
    "csv, tsv, parquet, jsonl or text; default by the file's name."
    database: str | None = None
    "Take DATA as a query to this DuckDB or SQLite file, postgresql://..., or duckdb: (over files)."
    test: Annotated[Path | None, Parameter(group=FIRST)] = None
    "File with ready-made test rows."
    missing: Annotated[tuple[str, ...], Parameter(allow_leading_hyphen=True)] = ()

    def reading(self) -> Reading:
        """Return these options for reading rows, without those that say which."""
        return Reading(**{field.name: getattr(self, field.name) for field in fields(Reading)})

    def name_of(self, data: str) -> str:
        """Return what rows are called, in files and tables."""
        if self.database is not None:
            return "query"
        return "standard input" if data == "-" else Path(data.partition("?")[0]).name

    def splits(
        self,
        data: str,
        sizes: "SplitSizes",
        seed: int,
        validation: Path | None = None,
        added: Sequence[Path] = (),
    ) -> "Splits":
        """Return the rows of a file, or of standard input, read and split.

        Raise DataError if they cannot be.
        """
        from llm_pv.api import read_splits

        return read_splits(
            data,
            target=self.target,
            types=parse_types(self.types),
            data_format=self.data_format,
            database=self.database,
            validation=validation,
            test=self.test,
            added=added,
            sizes=sizes,
            reading=self.reading(),
            seed=seed,
        )


DEFAULT_READING_OPTIONS = ReadingOptions()


@Parameter(name="*", group=ROWS)
@dataclass(frozen=True)
class ValidatedReadingOptions(ReadingOptions):
    """How a user's rows are read, where validation rows are used."""

    validation: Path | None = None
    "File with ready-made validation rows."


DEFAULT_VALIDATED_READING_OPTIONS = ValidatedReadingOptions()


def given(options: Any) -> list[str]:
    """Return the names of the options in a group that differ from their defaults.

    Examples
    --------
    >>> given(ReadingOptions(target="y", data_format="csv"))
    ['--target', '--data-format']
    """
    return [
        f"--{field.name.replace('_', '-')}"
        for field in fields(options)
        if getattr(options, field.name) != field.default
    ]


def as_words(options: Any) -> list[str]:
    """Return the options in a group that differ from their defaults, as they are typed.

    Examples
    --------
    >>> as_words(ReadingOptions(keep=("id", "day"), distinct_inputs=True))
    ['--keep', 'id', '--keep', 'day', '--distinct-inputs']
    """
    words = []
    for option in given(options):
        value = getattr(options, option.removeprefix("--").replace("-", "_"))
        for item in value if isinstance(value, tuple) else (value,):
            words += [option] if item is True else [option, str(item)]
    return words


@Parameter(name="*", group=_SANDBOX)
@dataclass(frozen=True)
class SandboxOptions:
    """The limits of a candidate, and its confinement."""

    cpu_seconds: float | None = None
    "CPU seconds for one candidate; default 2 and 0.01 a row."
    wall_seconds: float | None = None
    "Wall-clock seconds for one candidate; default twice the CPU seconds."
    memory_mb: int = 512
    "Memory for one candidate, in MB."
    workers: int | None = None
    "Candidates run concurrently; default the number of cores."
    sandbox: Literal["auto", "linux", "wasm"] = "auto"
    "How candidates are confined; auto takes the best that this machine supports."
    allow_unconfined: bool = False
    "Run code from a model or a file even if it cannot be confined."

    def __post_init__(self) -> None:
        for name in ("cpu_seconds", "wall_seconds", "memory_mb", "workers"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                option = name.replace("_", "-")
                raise ConfigurationError(f"--{option} is {value}; give a positive number")

    def limits(self) -> "Limits":
        """Return the limits of a candidate."""
        from llm_pv.sandbox import Limits

        return Limits(
            cpu_seconds=self.cpu_seconds,
            wall_seconds=self.wall_seconds,
            memory_bytes=self.memory_mb * 1024 * 1024,
        )

    def open(self) -> "Sandbox":
        """Return a running sandbox with these options; use it as a context manager.

        A warning is shown if the confinement is weaker than, or different from, the usual one.

        Raise ConfinementError if code cannot be confined here and the options do not allow running
        it unconfined.
        """
        from llm_pv.sandbox import Sandbox

        opened = Sandbox(
            self.limits(),
            workers=self.workers,
            allow_unconfined=self.allow_unconfined,
            backend=self.sandbox,
        )
        warn_if_weak(opened.confinement)
        return opened


def warn_if_weak(confinement: "Confinement") -> None:
    """Show a warning if programs are confined less than, or otherwise than, as usual."""
    from llm_pv.cli.main import complain

    if warning := confinement.warning():
        complain(f"{warning}; see llm-pv doctor")


DEFAULT_SANDBOX_OPTIONS = SandboxOptions()


def parse_types(types: Sequence[str]) -> dict[str, str]:
    """Read ``NAME=TYPE`` options.

    Examples
    --------
    >>> parse_types(["zip=str", "age=float"])
    {'zip': 'str', 'age': 'float'}
    """
    parsed = {}
    for item in types:
        name, equals, kind = item.rpartition("=")
        if not equals or not name:
            raise ConfigurationError(f"--types {item!r}: write NAME=TYPE, such as zip=str")
        parsed[name] = kind
    return parsed
