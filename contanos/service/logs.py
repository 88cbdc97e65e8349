"""One form for every log line of a process, whoever wrote it."""

import logging
import sys

import structlog


def log_to_stderr(level: str) -> None:
    """Write logfmt lines of `level` ("debug" to "error") and above to standard error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        # Looked up for each line: whoever replaces standard error means the lines to come.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def pass_on(name: str) -> None:
    """Let what a library logs as `name`, from warnings on, be written as ours is."""
    logger = logging.getLogger(name)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    logger.handlers = [_PassOn()]


class _PassOn(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        told = structlog.get_logger(record.name)
        told.log(record.levelno, record.getMessage(), exc_info=record.exc_info, by=record.name)
