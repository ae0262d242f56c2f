"""The built-in search: finds readable programs for labelled rows without a model."""
