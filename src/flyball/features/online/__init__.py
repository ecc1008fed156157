"""The incremental engine over the log: a state of tiles for each key, read in one consistent view."""
