"""The event log on Kafka: one topic for each log, one message for each record, Kafka's offsets.

Promises: within a partition the first message with an id counts and later ones are no events, so readers on any machine
see the same records at the same offsets; every call ends within its deadline, and the same handle works again once the
brokers answer.
"""

__all__: list[str] = []
