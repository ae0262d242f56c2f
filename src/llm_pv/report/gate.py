"""The checks a program is held to, in one line and as JUnit XML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from llm_pv.programs.shown import escaped
from llm_pv.report.text import percent


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
            f"{self.name} {percent(self.value, '%')} of {self.rows:,} rows, at least "
            f"{percent(self.least, '%')} wanted"
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
        "testsuite", name=escaped(suite), tests=str(len(checks)), failures=str(missed), errors="0"
    )
    listed = ET.SubElement(root, "properties")
    for name, value in properties.items():
        ET.SubElement(listed, "property", name=name, value=value)
    for check in checks:
        case = ET.SubElement(root, "testcase", classname="llm_pv.verify", name=escaped(check.name))
        if not check.passed:
            ET.SubElement(case, "failure", message=escaped(check.text()))
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"
