"""Where notifications go: a log, Slack, e-mail, Alertmanager."""
