"""A serving process, and the dispatcher that passes connections to it."""
