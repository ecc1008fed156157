"""Sketches: what a stream looked like, in constant memory, mergeable."""

from flyball.statistics.sketches.distinct_count import DistinctCount, Hashes, hash_numbers
from flyball.statistics.sketches.frequent_items import FrequentItems, FrequentValue
from flyball.statistics.sketches.minhash import minhash_signatures, most_similar_sets
from flyball.statistics.sketches.quantile_sketch import QuantileSketch

__all__ = [
    "DistinctCount",
    "FrequentItems",
    "FrequentValue",
    "Hashes",
    "QuantileSketch",
    "hash_numbers",
    "minhash_signatures",
    "most_similar_sets",
]
