"""What a gateway tells of itself to others, apart from the engine: metrics, health and alerts.

Everything here is read from a `telemetry.Snapshot` when somebody asks; nothing here is on the way
of a step, and the engine does not know that it exists.
"""
