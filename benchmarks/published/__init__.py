"""Test values that other projects published, each computed by `flyball.statistics`."""
