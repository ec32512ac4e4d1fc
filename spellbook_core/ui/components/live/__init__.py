"""The listener: brings the server's events to a screen."""

from spellbook_core.ui.components.live.component import live

__all__ = ["live"]
