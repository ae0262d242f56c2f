"""Run directories: journals, results, resuming; the runner."""
