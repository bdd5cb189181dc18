"""Isaac Sim 4.5 and 5.x, as far as the example goes. Not Isaac Sim: see README.md."""

from __future__ import annotations

from fake_kit import App


class SimulationApp(App):
    """The app of 4.5 and 5.x."""

    def close(self, wait_for_replicator: bool = True, skip_cleanup: bool = False) -> None:
        """End the process."""
        self.end(0)
