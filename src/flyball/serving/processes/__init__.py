"""One serving process, and the dispatcher that hands connections to it."""
