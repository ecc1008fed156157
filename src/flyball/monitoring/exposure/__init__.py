"""Which items the lists show: how concentrated exposure is, and whether it feeds back on itself."""
