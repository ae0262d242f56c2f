"""A gate for `llm-pv verify`: what a program must reach, as a line and as JUnit XML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from xml.etree import ElementTree as ET

from cyclopts import Group, Parameter

from llm_pv.cli.tables import percent, printable
from llm_pv.erm.scoring import Score
from llm_pv.errors import ConfigurationError

_GATE = Group("Gate", sort_key=3)


@Parameter(name="*", group=_GATE)
@dataclass(frozen=True)
class GateOptions:
    """What the program must reach; where it does not, the command ends with status 1."""

    min_accuracy: float | None = None
    "Least accuracy, such as 0.95."
    max_error: float | None = None
    "Greatest share of wrong rows, such as 0.05."
    min_class_accuracy: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    "CLASS=SHARE: the least share of a class's rows that are right; repeat for several."
    junit: Path | None = None
    "Write the checks as JUnit XML here."

    def __post_init__(self) -> None:
        for name in ("min_accuracy", "max_error"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                option = name.replace("_", "-")
                raise ConfigurationError(f"--{option} is {value}; give a share between 0 and 1")

    def checks(
        self, score: Score, predictions: Sequence[str | None], labels: Sequence[str]
    ) -> list["Check"]:
        """Return each check with what was found.

        Raise ConfigurationError if a class named has no rows.
        """
        found = []
        if self.min_accuracy is not None:
            found.append(Check("accuracy", score.accuracy, self.min_accuracy, score.rows))
        if self.max_error is not None:
            least = round(1 - self.max_error, 12)
            found.append(Check("accuracy (--max-error)", score.accuracy, least, score.rows))
        for item in self.min_class_accuracy:
            label, least = _class_share(item)
            rows = [row for row, text in enumerate(labels) if text == label]
            if not rows:
                raise ConfigurationError(
                    f"--min-class-accuracy {item!r}: no row is of the class {label!r}; there are "
                    f"{', '.join(map(repr, sorted(set(labels))[:8]))}"
                )
            right = sum(predictions[row] == label for row in rows)
            found.append(Check(f"accuracy of {label!r}", right / len(rows), least, len(rows)))
        if self.junit is not None and not found:
            raise ConfigurationError("--junit writes checks: give --min-accuracy or another one")
        return found


DEFAULT_GATE_OPTIONS = GateOptions()


@dataclass(frozen=True)
class Check:
    """One figure that must not be below another."""

    name: str
    value: float
    least: float
    rows: int

    @property
    def passed(self) -> bool:
        """Whether it is not."""
        return self.value >= self.least

    def text(self) -> str:
        """Return it in words."""
        return (
            f"{self.name} {percent(self.value)} of {self.rows:,} rows, at least "
            f"{percent(self.least)} wanted"
        )


def gate_line(checks: Sequence[Check]) -> str:
    """Return all checks as one line.

    Examples
    --------
    >>> gate_line([Check("accuracy", 0.9, 0.95, 20)])
    'FAILED: accuracy 90.0% of 20 rows, at least 95.0% wanted'
    """
    missed = [check for check in checks if not check.passed]
    word = "FAILED" if missed else "PASSED"
    return f"{word}: {'; '.join(check.text() for check in missed or checks)}"


def junit_xml(checks: Sequence[Check], suite: str, properties: Mapping[str, str]) -> str:
    """Return the checks as a JUnit test suite."""
    missed = sum(not check.passed for check in checks)
    root = ET.Element(
        "testsuite", name=printable(suite), tests=str(len(checks)), failures=str(missed), errors="0"
    )
    listed = ET.SubElement(root, "properties")
    for name, value in properties.items():
        ET.SubElement(listed, "property", name=name, value=value)
    for check in checks:
        case = ET.SubElement(
            root, "testcase", classname="llm_pv.verify", name=printable(check.name)
        )
        if not check.passed:
            ET.SubElement(case, "failure", message=printable(check.text()))
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _class_share(item: str) -> tuple[str, float]:
    label, equals, number = item.rpartition("=")
    try:
        share = float(number)
        if not equals or not 0 <= share <= 1:
            raise ValueError(item)
    except ValueError:
        raise ConfigurationError(
            f"--min-class-accuracy {item!r}: write CLASS=SHARE, such as ill=0.9"
        ) from None
    return label, share
