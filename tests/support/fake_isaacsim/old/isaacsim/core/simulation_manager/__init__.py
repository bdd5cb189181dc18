"""It was there before 6.0, but had no `SimulationEvent`."""


class SimulationManager:
    """Not used by the example in this generation."""
