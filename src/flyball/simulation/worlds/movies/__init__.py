"""A movie streaming service: hidden tastes, seasons, watches and ratings as lines of its log."""
