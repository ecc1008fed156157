"""The incremental engine over the log: state kept by key in tiles, read in one consistent view."""
