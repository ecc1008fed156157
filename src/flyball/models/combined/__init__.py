"""Models made of other models: blends, compressed forms, hybrids and second-stage rankers."""
