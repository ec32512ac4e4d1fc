"""`kwargs['logger']`: mage's logger, which takes a message and any further keywords."""

from __future__ import annotations

import logging
import sys
from typing import Any

_OF_LOGGING = frozenset({"exc_info", "stack_info", "stacklevel", "extra"})


class BlockLogger(logging.LoggerAdapter[logging.Logger]):
    """The methods of mage's `DictLogger` and of a `logging.Logger`.

    mage writes a line of JSON with every keyword in it; here they follow the message as `name=value`. `error=` adds the
    traceback of the exception that is being handled, as in mage.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Write a message, `%` filled in by `args` as in `logging`; every other method ends here."""
        if not self.isEnabledFor(level):
            return
        known = {name: value for name, value in kwargs.items() if name in _OF_LOGGING}
        told = " ".join(f"{name}={value!r}" for name, value in kwargs.items() if name not in _OF_LOGGING)
        if kwargs.get("error") and sys.exc_info()[0] is not None:
            known.setdefault("exc_info", True)
        if told:
            msg = f"{msg} {told.replace('%', '%%') if args else told}"
        self.logger.log(level, msg, *args, **known)

    warn = logging.LoggerAdapter.warning

    def __getattr__(self, name: str) -> Any:
        """Return what else a `logging.Logger` has, such as `addHandler`."""
        if name == "logger":  # not there yet: while this is copied or unpickled
            raise AttributeError(name)
        return getattr(self.logger, name)


def block_logger(block: str) -> BlockLogger:
    """Return the logger of a block; it writes to standard output, from level INFO up."""
    logger = logging.getLogger(f"spellbook.block.{block}")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    return BlockLogger(logger, {})
