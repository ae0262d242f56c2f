"""Operators on columns of a table."""

from typing import Any

import numpy as np

from llm_pv.search.operators import op


def _measured(values: Any) -> bool:
    return bool(np.nanmax(values) < 1000 and (values != np.floor(values)).any())


op("{0} ** 2", "number -> number", 2.5, when=_measured)
