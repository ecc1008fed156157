"""Is it as good for every group? Quality per declared group of logged predictions, and whose labels are late."""
