"""Models of rows of a table: numbers and categories in, a number, quantiles or probabilities out."""
