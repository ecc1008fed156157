"""Contract suites and tools for tests of backends, models and applications; needs pytest and hypothesis.

Promises: a backend that passes its suite can replace the embedded one. Each suite is a separate module, imported by its
name, so that testing a log loads no model: `flyball.testing.log_contract` and so on.
"""

__all__: list[str] = []
