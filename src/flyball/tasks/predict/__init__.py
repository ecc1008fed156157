"""One event in, a number, quantiles, a probability or a class out, learned from what later events say of it."""
