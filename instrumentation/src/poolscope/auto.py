"""Instrument an application without a change to its code, for `opentelemetry-instrument`."""

from typing import Any

from poolscope.app_log import NOT_DETACHED, SWITCHED_OFF, AppLog


class PoolscopeInstrumentor:
    """The instrumentor that OpenTelemetry finds by the entry point `poolscope`.

    It has the two methods that OpenTelemetry calls. It derives from none of OpenTelemetry's
    classes, so that an application does not need their package. Neither method raises: otherwise
    auto-instrumentation would stop before it has loaded the rest. A typing error in one poolscope
    setting would then cost the application its traces.
    """

    def instrument(self, **options: Any) -> None:
        """Attach to every pool, with the environment's settings and an optional `meter_provider`.

        Other options are ignored: they are for instrumentations of one version of a library.
        """
        try:
            from poolscope.instrumentation import start  # noqa: PLC0415 - it may fail to import

            start(options.get("meter_provider"))
        except Exception as error:  # noqa: BLE001 - see the class: neither method raises
            AppLog().write_line(SWITCHED_OFF, error)

    def uninstrument(self, **_options: Any) -> None:
        """Detach from every pool, and push a last time."""
        try:
            from poolscope.instrumentation import active  # noqa: PLC0415 - as above

            instrumentation = active()
            if instrumentation is not None:
                instrumentation.uninstrument()
        except Exception as error:  # noqa: BLE001 - as above
            AppLog().write_line(NOT_DETACHED, error)
