"""Format figures for readers."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_pv.report.comparison import Estimate
    from llm_pv.stats import MeanStd


def percent(share: float | None, unit: str = "") -> str:
    """Write a share in percent with one digit, empty for None; only 1 itself reads 100.0.

    Examples
    --------
    >>> percent(0.9871), percent(1.0), percent(0.99999), percent(0.00001, "%"), percent(None)
    ('98.7', '100.0', '99.9', '0.1%', '')
    """
    if share is None:
        return ""
    text = f"{100 * share:.1f}"
    if text == "100.0" and share < 1:
        text = "99.9"
    if text == "0.0" and share > 0:
        text = "0.1"
    return text + unit


def spread(figure: "MeanStd | None") -> str:
    """Write a mean and its standard deviation in percent.

    Examples
    --------
    >>> from llm_pv.stats import MeanStd
    >>> spread(MeanStd(0.99996, 0.0123, 5)), spread(MeanStd(1.0, None, 1)), spread(None)
    ('99.9 ± 1.2', '100.0', '')
    """
    if figure is None:
        return ""
    deviation = "" if figure.deviation is None else f" ± {100 * figure.deviation:.1f}"
    return percent(figure.mean) + deviation


def interval(found: "Estimate | None") -> str:
    """Write the limits of an estimate.

    Examples
    --------
    >>> from llm_pv.report.comparison import Estimate
    >>> interval(Estimate(0.5, None, 1, 0.4, 0.6))
    '[40.0, 60.0]'
    """
    if found is None or found.low is None:
        return ""
    return f"[{percent(found.low)}, {percent(found.high)}]"


def money(dollars: float | None) -> str:
    """Write an amount in dollars, empty for nothing spent.

    Examples
    --------
    >>> money(0.0123), money(12.5), money(0.0)
    ('$0.0123', '$12.50', '')
    """
    if not dollars:
        return ""
    return f"${dollars:.2f}" if dollars >= 1 else f"${dollars:.4f}"


def price(dollars: float | None) -> str:
    """Write a price in four digits.

    Examples
    --------
    >>> price(0.012345), price(0.0), price(None)
    ('$0.01235', '$0', 'price unknown')
    """
    return "price unknown" if dollars is None else f"${dollars:.4g}"


def seconds(value: float | None) -> str:
    """Write a duration.

    Examples
    --------
    >>> seconds(0.04), seconds(75), seconds(7300), seconds(None)
    ('0.04 s', '75 s', '2.0 h', '')
    """
    if value is None:
        return ""
    if value < 10:
        return f"{value:.2f} s"
    if value < 600:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def count(number: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun.

    Examples
    --------
    >>> count(1, "trial"), count(2, "trial"), count(3, "entry", "entries")
    ('1 trial', '2 trials', '3 entries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
