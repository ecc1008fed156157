"""What makes probabilities and intervals mean what they say: pure functions of arrays, one method a file."""
