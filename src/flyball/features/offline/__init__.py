"""The vectorized point-in-time engine over history: the value of each feature for each query row."""
