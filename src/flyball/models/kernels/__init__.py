"""Compiled loops. The only place where numba is imported; models import a kernel file when they fit or score.

Promises: plain IEEE arithmetic in a fixed order (no fast-math, no parallel reductions), so a row has the same bits in
any batch, on any thread. Signatures are explicit, read-only arrays accepted: one compilation each, kept on disk.
"""

from pathlib import Path

from flyball.core import forget_stale

forget_stale(Path(__file__).parent)
