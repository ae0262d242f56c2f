"""The sources of candidate programs, one file per source."""
