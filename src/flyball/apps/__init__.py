"""Applications that come with Flyball: plain files of declarations."""
