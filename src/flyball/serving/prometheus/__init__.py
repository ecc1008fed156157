"""Prometheus and Grafana: what to scrape, rules and alerts, and a dashboard, made from the application."""
