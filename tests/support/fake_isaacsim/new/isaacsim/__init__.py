"""Isaac Sim 6.1 and 6.2, as far as the example goes. Not Isaac Sim: see README.md."""

from __future__ import annotations

from fake_kit import App


class SimulationApp(App):
    """The app of 6.1 and newer."""

    def close(
        self, wait_for_replicator: bool = True, skip_cleanup: bool = False, exit_code: int = 0
    ) -> None:
        """End the process."""
        self.end(exit_code)
