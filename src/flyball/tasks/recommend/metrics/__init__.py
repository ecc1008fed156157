"""The metrics of recommendations: of lists against later positives, of lists alone, and of predicted ratings."""
