"""The long run of the features' proof: many drawn logs, then every planted error against the tests.

Run: python benchmarks/features_proof.py [--examples 3000] [--no-mutations]
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=3_000)
    parser.add_argument("--no-mutations", action="store_true")
    asked = parser.parse_args()
    drawn = {**os.environ, "TEST_EXAMPLES": str(asked.examples)}
    tests = [*(f"tests/features/test_{name}.py" for name in ("offline_oracle", "feature_laws", "online_equals_oracle"))]
    subprocess.run([sys.executable, "-m", "pytest", "-q", *tests], cwd=ROOT, env=drawn, check=True)
    if not asked.no_mutations:
        subprocess.run([sys.executable, "-m", "tests.mutations.run"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
