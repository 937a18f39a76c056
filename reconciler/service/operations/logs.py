"""Logs as lines of JSON, through the standard library, without secrets."""

import json
import logging
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from reconciler.diagnostics.redact import redact

LEVELS = ("debug", "info", "warning", "error")
#: What every record has by itself; the rest was said by who logged.
_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonFormatter(logging.Formatter):
    """Writes a record as one line: time, level, logger, message, and what was given beside."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; secrets of Stripe and our own keys are cut out of it wherever they stand."""
        found: dict[str, Any] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        found |= {name: value for name, value in vars(record).items() if name not in _KNOWN and value is not None}
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return redact(json.dumps(found, separators=(",", ":"), default=str))


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Log everything from a level on to a stream, stderr by default, in place of what was configured before."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # The SDK tells every request it makes.
    logging.getLogger("stripe").setLevel(max(root.level, logging.WARNING))


def told(worker: str, failed: Exception | None, done: Mapping[str, Any] | None) -> None:
    """Log what a round of a worker did, where it did anything, or why it failed."""
    log = logging.getLogger("reconciler.service")
    if failed is not None:
        log.error("a round failed: %s", failed, extra={"worker": worker})
    elif done is not None and any(done.values()):
        counts = {name: value if isinstance(value, int) else len(value) for name, value in done.items()}
        log.info("a round", extra={"worker": worker, **counts})
