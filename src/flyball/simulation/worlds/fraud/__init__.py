"""Card payments with fraud: large amounts, compromised terminals, stolen cards, and criminals who adapt.

Promises: it is known which payments are fraudulent; a declined payment has no chargeback; the same seed and responses
give the same lines. Source: the simulator of the Fraud Detection Handbook (Le Borgne et al., 2022, chapter 3).
"""

from flyball.simulation.worlds.fraud.world import FraudWorld

__all__ = ["FraudWorld"]
