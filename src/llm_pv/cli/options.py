"""How settings become options of the command line, and groups common to several commands."""

import ast
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, fields
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_type_hints

from cyclopts import Group, Parameter

from llm_pv.data.reading import Reading
from llm_pv.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_pv.api import SplitSizes
    from llm_pv.data.examples import Splits
    from llm_pv.sandbox import Confinement, Limits, Sandbox

Format = Literal["table", "json"]


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

SEVERAL = Parameter(consume_multiple=True)
"""Options that take several values, one after another."""

_Settings = TypeVar("_Settings")
_Value = TypeVar("_Value")


def option_group(
    group: Group | None, like: type | None = None, **named: Parameter
) -> Callable[[type[_Settings]], type[_Settings]]:
    """Return a decorator that makes a dataclass of settings a group of options.

    The text of an option is that below its field, in the dataclass or in one it inherits from.

    Parameters
    ----------
    group
        The heading of the options; None for that of a command's own.
    like
        Other settings, or another group, whose fields of the same names have the text, the option's
        name and the way to read it; what the dataclass has itself comes first.
    **named
        By the name of a field, another name of its option, another heading, or how it is read.
    """

    def decorate(settings: type[_Settings]) -> type[_Settings]:
        shared: dict[str, Any] = {}
        for base in reversed(like.__mro__) if like else ():
            shared |= inspect.get_annotations(base)
        texts = _texts(like) | _texts(settings) if like else {}
        hints = get_type_hints(settings, include_extras=True) if like or named else {}
        for name, hint in hints.items():
            given = _parameters(shared[name]) if name in shared else []
            if name in shared and name in texts:
                given.append(Parameter(help=texts[name]))
            if name in named:
                given.append(named[name])
            if given:
                settings.__annotations__[name] = Annotated[(hint, *given)]
        return (Parameter(name="*", group=group) if group else Parameter(name="*"))(settings)

    return decorate


def _texts(settings: type) -> dict[str, str]:
    """Return the text below each field of a dataclass and those it inherits from."""
    texts = {}
    for base in reversed(settings.__mro__[:-1]):
        for field, text in pairwise(_bodies(base.__module__).get(base.__name__, ())):
            match field, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(found))),
                ):
                    texts[name] = inspect.cleandoc(found)
    return texts


@cache
def _bodies(module: str) -> dict[str, list[ast.stmt]]:
    """Return the statements of each class of a module, nothing if its source is not at hand."""
    try:
        parsed = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError):
        return {}
    return {part.name: part.body for part in parsed.body if isinstance(part, ast.ClassDef)}


def option_of(options: Any, field: str) -> str:
    """Return the option of a field of a group.

    Examples
    --------
    >>> option_of(ReadingOptions(), "data_format")
    '--data-format'
    """
    hint = get_type_hints(type(options), include_extras=True)[field]
    names = [parameter.name for parameter in _parameters(hint) if parameter.name]
    return next(iter(names[-1])) if names else f"--{field.replace('_', '-')}"


def _parameters(hint: Any) -> list[Parameter]:
    return [part for part in getattr(hint, "__metadata__", ()) if isinstance(part, Parameter)]


def require(options: Any, holds: Callable[[Any], bool], otherwise: str, *names: str) -> None:
    """Raise ConfigurationError if a field of a group has a value for which something fails."""
    for name in names:
        value = getattr(options, name)
        if value is not None and not holds(value):
            raise ConfigurationError(f"{option_of(options, name)} is {value}{otherwise}")


def settings_of(options: Any, kind: type[_Settings]) -> _Settings:
    """Return the settings that a group of options is made of."""
    return kind(**common_fields(options, kind))


def common_fields(options: Any, kind: Any) -> dict[str, Any]:
    """Return the values of a group's fields that other settings have under the same names."""
    names = {field.name for field in fields(options)}
    return {
        field.name: getattr(options, field.name) for field in fields(kind) if field.name in names
    }


@option_group(OUTPUT)
@dataclass(frozen=True)
class OutputOptions:
    """The run directory, and how progress is shown."""

    out: Annotated[Path | None, Parameter(group=FIRST)] = None
    "Run directory; default a new folder under runs/."
    format: Annotated[Format, Parameter(group=FIRST)] = "table"
    "How the results are shown: table, or one JSON object."
    track: Literal["mlflow", "wandb"] | None = None
    "Send figures to this experiment tracker as they come."
    watch: bool = False
    "Serve a page on 127.0.0.1 that shows the run while it works, with a button to stop it."


DEFAULT_OUTPUT_OPTIONS = OutputOptions()


@option_group(ROWS, missing=Parameter(allow_leading_hyphen=True))
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

    def reading(self) -> Reading:
        """Return these options for reading rows, without those that say which."""
        return settings_of(self, Reading)

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


@option_group(ROWS)
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
    return [option_of(options, field.name) for field in _changed(options)]


def _changed(options: Any) -> list[Field[Any]]:
    return [field for field in fields(options) if getattr(options, field.name) != field.default]


def as_words(options: Any) -> list[str]:
    """Return the options in a group that differ from their defaults, as they are typed.

    Examples
    --------
    >>> as_words(ReadingOptions(keep=("id", "day"), distinct_inputs=True))
    ['--keep', 'id', '--keep', 'day', '--distinct-inputs']
    """
    words = []
    for field in _changed(options):
        option, value = option_of(options, field.name), getattr(options, field.name)
        for item in value if isinstance(value, tuple) else (value,):
            words += [option] if item is True else [option, str(item)]
    return words


@option_group(_SANDBOX)
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
        limits = ("cpu_seconds", "wall_seconds", "memory_mb", "workers")
        require(self, lambda value: value > 0, "; give a positive number", *limits)

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


DEFAULT_SANDBOX_OPTIONS = SandboxOptions()


def warn_if_weak(confinement: "Confinement") -> None:
    """Show a warning if programs are confined less than, or otherwise than, as usual."""
    from llm_pv.cli.main import complain

    if warning := confinement.warning():
        complain(f"{warning}; see llm-pv doctor")


def parse_types(types: Sequence[str]) -> dict[str, str]:
    """Read ``NAME=TYPE`` options.

    Examples
    --------
    >>> parse_types(["zip=str", "age=float"])
    {'zip': 'str', 'age': 'float'}
    """
    return dict(read_pair("--types", item, "NAME=TYPE, such as zip=str", str) for item in types)


def read_pair(
    option: str, item: str, form: str, read: Callable[[str], _Value]
) -> tuple[str, _Value]:
    """Read a name and a value; raise ConfigurationError if they are not written so.

    Examples
    --------
    >>> read_pair("--class-weight", "a=b=2", "CLASS=NUMBER", float)
    ('a=b', 2.0)
    """
    name, _, text = item.rpartition("=")
    try:
        if name:
            return name, read(text)
    except ValueError:
        pass
    raise ConfigurationError(f"{option} {item!r}: write {form}")
