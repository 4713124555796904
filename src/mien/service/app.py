"""The ASGI application: routes, limits, metrics, the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien import __version__
from mien.service import edges, metrics, problems, routes, schemas
from mien.service.settings import Settings
from mien.service.state import State, load
from mien.service.uploads import PhotosInJSON
from mien.sinks.records import encode
from mien.web import site

CLOSING_SECONDS = 5.0
STATIC = Path(__file__).parent / "static"
DESCRIPTION = """Age and gender of every face in photos, with honest uncertainty.

Photos are worked on in memory and never stored. Gender is as labelled in the training data. Errors are
`application/problem+json` with a `type` that does not change."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        "connect-src 'self'; font-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
}

DEVICE_HEADERS = HEADERS | {
    "Cross-Origin-Embedder-Policy": "require-corp",  # with the opener policy: WebAssembly may use several threads
    "Content-Security-Policy": HEADERS["Content-Security-Policy"].replace(
        "script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'"
    ),
}
"""The same where the browser may do the work itself."""


def create_app(settings: Settings | None = None, state: State | None = None) -> FastAPI:
    """Make the service.

    Args:
        settings: models and limits; None for the defaults.
        state: models loaded by `load(settings)`; None to load them when the service starts up.
    """
    chosen = settings or Settings()
    counted = state.metrics if state is not None else metrics.Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        app.state.mien = working = state or load(chosen, counted)
        try:
            yield
        finally:
            app.state.mien = None
            await asyncio.to_thread(working.engine.close, CLOSING_SECONDS)  # uvicorn has waited for the requests

    app = FastAPI(
        title="mien",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # both pages fetch their scripts from another host
        redoc_url=None,
        openapi_url=None,  # its route would encode the description anew each time
        redirect_slashes=False,  # it would name whatever host the client has, and http behind TLS
    )
    app.state.mien = None
    problems.install(app)
    app.include_router(routes.router)
    _operations(app)
    if chosen.page:
        _page(app, chosen.web)
    app.add_middleware(edges.Faults)
    app.add_middleware(edges.Heads)
    if chosen.root_path:
        app.add_middleware(edges.Rooted, root=chosen.root_path)
    if chosen.cors:
        app.add_middleware(CORSMiddleware, allow_origins=chosen.cors, **edges.SHARED)
    app.add_middleware(_Headers, headers=HEADERS if chosen.web is None else DEVICE_HEADERS)
    app.add_middleware(metrics.Measured, metrics=counted)
    app.add_middleware(edges.Named)
    app.openapi = lambda: _openapi(app, chosen)  # type: ignore[method-assign]
    return app


def _description(app: FastAPI) -> Callable[[], Coroutine[Any, Any, Response]]:
    """Answers with the description, encoded once: it is long, and anybody may ask for it as often as he likes."""
    encoded = b""

    async def describe() -> Response:
        nonlocal encoded
        if not encoded or app.openapi_schema is None:
            encoded = encode(app.openapi())
        return Response(encoded, media_type=routes.JSON)

    return describe


def _page(app: FastAPI, web: Path | None) -> None:
    """The page at / and its parts, each at an address of its own: a mount at / would take those of the routes."""
    if web is not None:
        text = site.places(server=True)
        app.add_api_route(
            "/js/places.js",
            lambda: Response(text, media_type="text/javascript"),
            include_in_schema=False,
            response_model=None,
        )
        app.mount(f"/{site.DEVICE}", StaticFiles(directory=web / site.DEVICE), name=site.DEVICE)
    app.add_api_route("/", lambda: FileResponse(STATIC / "index.html"), include_in_schema=False, response_model=None)
    for part in sorted(STATIC.iterdir()):
        if part.is_dir():
            app.mount(f"/{part.name}", StaticFiles(directory=part), name=part.name)
        else:
            app.add_api_route(f"/{part.name}", _file(part), include_in_schema=False, response_model=None)


def _file(path: Path) -> Callable[[], FileResponse]:
    return lambda: FileResponse(path)


def _operations(app: FastAPI) -> None:
    """What those who run the service ask it: is it alive, ready, how is it doing, and what can it do."""
    app.add_api_route("/openapi.json", _description(app), include_in_schema=False, response_model=None)

    @app.get("/healthz", response_model=schemas.Health)
    async def healthz() -> Response:
        """The process answers."""
        return Response('{"status": "ok"}', media_type=routes.JSON)

    @app.get("/readyz", response_model=schemas.Health, responses=routes.problems(503))
    async def readyz(request: Request) -> Response:
        """The models are loaded, every thread works, and photos are finished."""
        state = request.app.state.mien
        if state is None or not state.engine.alive:
            raise problems.Problem("busy", "the models are not loaded", headers={"Retry-After": "1"})
        if not await state.readiness.check():
            detail = f"photos wait, and none was finished within {state.readiness.seconds:g} s"
            raise problems.Problem("busy", detail, headers={"Retry-After": "1"})
        return Response('{"status": "ok"}', media_type=routes.JSON)

    @app.get("/metrics", response_class=Response, responses={200: {"content": {metrics.MEDIA_TYPE: {}}}})
    async def prometheus(request: Request) -> Response:
        """Counts and times for Prometheus."""
        return Response(routes.state_of(request).metrics.text(), media_type=metrics.MEDIA_TYPE)


def _openapi(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """The description of the service, with the bodies and problems that routes only refer to."""
    if app.openapi_schema is None:
        record = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        if settings.root_path:
            record["servers"] = [{"url": settings.root_path}]
        known = record["components"]["schemas"]
        for model in (schemas.ProblemRecord, PhotosInJSON):
            parts = model.model_json_schema(ref_template="#/components/schemas/{model}")
            known.update(parts.pop("$defs", {}))
            known[model.__name__] = parts
        known["PhotoFiles"] = {
            "title": "PhotoFiles",
            "type": "object",
            "required": ["photos"],
            "additionalProperties": False,
            "properties": {
                "photos": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": settings.max_photos,
                    "items": {"type": "string", "format": "binary"},
                },
            },
        }
        known["PhotosInJSON"]["properties"]["photos"]["maxItems"] = settings.max_photos
        for unused in ("HTTPValidationError", "ValidationError"):
            known.pop(unused, None)
        if app.state.mien is None:  # the names of the models are not known yet
            return record
        for operations in record["paths"].values():
            for operation in operations.values():
                for parameter in operation.get("parameters", ()):
                    if parameter["name"] == "model":
                        parameter["schema"] = {"type": "string", "enum": list(app.state.mien.analyzers)}
        app.openapi_schema = record
    return app.openapi_schema


class _Headers:
    """ASGI middleware that adds the headers every answer has."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        unread = scope["type"] == "http" and _has_body(scope)

        async def receiving() -> Message:
            nonlocal unread
            message = await receive()
            unread = unread and message.get("more_body", False)
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if unread:  # nobody is going to read the rest, however long it takes to come
                    headers["Connection"] = "close"
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-cache")  # asked again each time: an upgrade shows at once
            await send(message)

        if scope["type"] == "http":
            await self._app(scope, receiving, sending)
        else:
            await self._app(scope, receive, send)


def _has_body(scope: Scope) -> bool:
    """Whether the client has announced a body."""
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
