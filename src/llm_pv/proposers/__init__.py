"""Where candidate programs come from, one file per source."""
