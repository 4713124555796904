"""Commands that need more than the core install say which extra to add."""

from mien.extras import needs_extra

__all__ = ["needs_extra"]
