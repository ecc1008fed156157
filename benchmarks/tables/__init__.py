"""Public tables as applications of Flyball: declarations, readers and the protocols they were published with."""
