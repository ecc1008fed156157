"""The metrics of recommendations: of lists against what users went on to like, of lists alone, of predicted ratings."""
