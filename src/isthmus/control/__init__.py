"""What a gateway shows: metrics for Prometheus, health, alerts; apart from its engine."""
