"""Notes what this server measures where whoever is the keeper finds it. Judges nothing."""

import asyncio
import logging
from collections.abc import Mapping

from core.config_alerts import AlertRule
from core.errors import PaddockError
from core.storage.alerts import AlertStore
from core.telemetry.metrics import Metrics
from core.telemetry.series import selector

log = logging.getLogger(__name__)


class Sampling:
    """server: a name that no other server has, nor had."""

    def __init__(
        self, metrics: Metrics, store: AlertStore, rules: Mapping[str, AlertRule], *, server: str, every_seconds: float
    ) -> None:
        texts = {text for rule in rules.values() for text in (rule.series, rule.per) if text is not None}
        self._selectors = [selector(text) for text in sorted(texts)]
        self._metrics = metrics
        self._store = store
        self._server = server
        self._every_seconds = every_seconds

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._store.add_sample(self._server, self._metrics.sums(self._selectors))
            except PaddockError as exc:
                log.warning("what the server measures is not noted for alerts: %s", exc.message)
            await asyncio.sleep(self._every_seconds)
