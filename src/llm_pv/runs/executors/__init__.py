"""Where the cells of a run are computed: this machine, or a Ray cluster."""
