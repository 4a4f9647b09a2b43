"""Instrument without a line of code, for `opentelemetry-instrument`."""

import logging
from typing import Any

logger = logging.getLogger("poolscope")


class PoolscopeInstrumentor:
    """What OpenTelemetry's automatic instrumentation finds by the entry point `poolscope`.

    It has the two methods that are called there, and is none of OpenTelemetry's own classes: an
    application does not need their package. Neither method raises: auto-instrumentation would
    give up on everything that it has not loaded yet, and the application would lose its traces
    to a typing error in a setting of ours.
    """

    def instrument(self, **options: Any) -> None:
        """Attach to every pool, by the environment's settings and an optional `meter_provider`.

        Other options are for instrumentations that depend on one library's version.
        """
        try:
            from poolscope.instrumentation import start  # noqa: PLC0415 - it may fail to import

            start(options.get("meter_provider"))
        except Exception as error:  # noqa: BLE001 - see the class: neither method raises
            logger.error("poolscope is off: %s", error)  # noqa: TRY400 - the text says it all

    def uninstrument(self, **_options: Any) -> None:
        """Detach from every pool, and push a last time."""
        try:
            from poolscope.instrumentation import active  # noqa: PLC0415 - as above

            instrumentation = active()
            if instrumentation is not None:
                instrumentation.uninstrument()
        except Exception as error:  # noqa: BLE001 - as above
            logger.error("poolscope could not detach: %s", error)  # noqa: TRY400 - as above
