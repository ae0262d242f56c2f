"""Labelled examples: types, readers, splits and the data-set store."""
