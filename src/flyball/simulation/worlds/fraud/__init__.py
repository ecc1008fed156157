"""Card payments, some of them fraudulent: large amounts, compromised terminals, stolen cards, criminals who adapt.

Promises: which payment is fraudulent is known; what was declined brings no chargeback; the same seed and the same
responses give the same lines. After the simulator of the Fraud Detection Handbook (Le Borgne et al., 2022, chapter 3).
"""

from flyball.simulation.worlds.fraud.world import FraudWorld

__all__ = ["FraudWorld"]
