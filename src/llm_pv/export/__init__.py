"""A learned program in other forms: SQL, a Python module, an estimator file; each is checked."""
