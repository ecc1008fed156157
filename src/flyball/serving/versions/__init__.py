"""The versions a serving process holds: loaded, verified, refreshed."""
