"""Operators on columns of a table."""

import numpy as np

from llm_pv.search.operators import op

op("{0} ** 2", "number -> number", 2.5, column=np.square, when=lambda v: bool(np.nanmax(v) < 1000))
