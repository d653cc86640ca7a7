"""Log of the process on standard error: structlog and the standard library's loggers in one form.

Promise: every line passes `redact_event`. Lines of libraries appear from warning up.
"""

import logging
import os
import sys
from typing import TextIO

import structlog
from structlog.typing import Processor

from heliograph.telemetry.redact import redact_event


def set_up_logs(level: str, form: str, stream: TextIO | None = None) -> None:
    """Sets up logging. `level`: debug, info, warning, error. `form`: console, json, or auto (console on a terminal)."""
    out = stream or sys.stderr
    console = form == "console" or (form == "auto" and out.isatty())
    number = getattr(logging, level.upper())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact_event,
    ]
    render = _console(out) if console else structlog.processors.JSONRenderer(ensure_ascii=False)
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=stream is None,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))


def _console(out: TextIO) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=out.isatty() and not os.environ.get("NO_COLOR"),
        exception_formatter=structlog.dev.plain_traceback,
        pad_event_to=28,
    )
