"""What an application declares: windows, aggregates, groups by key, derived values. Inert: nothing is computed here."""
