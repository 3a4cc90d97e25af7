"""One module per group of scenarios; each names its scenarios in `SCENARIOS`."""
