"""The point-in-time engine over history: the value of each feature at each query row, vectorized."""
