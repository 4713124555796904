"""The HTTP service: photos in by POST, the same records out as from the command line, and a page to try it with.

`create_app(settings)` makes the ASGI application; `mien serve` runs it. Nothing of a picture reaches a disk or a log.
"""

from mien.errors import MissingExtra

try:
    from mien.service.app import create_app
    from mien.service.settings import Settings
except ImportError as error:
    raise MissingExtra.named("the service", "serve") from error

__all__ = ["Settings", "create_app"]
