"""A session that does nothing wrong."""

from __future__ import annotations

import isthmus


class Good:
    """Asks, and insists on the right answer."""

    def __init__(self, link: isthmus.Link) -> None:
        self.link = link
        self.asked = 0

    def asks(self, times: int = 3) -> None:
        """Ask some more."""
        for _ in range(times):
            self.asked += 1
            action = self.link.act(q=[self.asked % 50, 1.0], deadline=20.0)
            assert action.status == "policy", action.cause
            assert action["speed"].tolist() == [self.asked % 50 / 2, 0.5]
