"""`mien serve`: the HTTP service and its page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.errors import MissingExtra, UsageError

LOG_LEVELS = ("critical", "error", "warning", "info", "debug")


def serve(
    *,
    host: Annotated[str, typer.Option(envvar="MIEN_HOST", help="Address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="MIEN_PORT", min=0, max=65535, help="Its port; 0 for a free one.")] = 8000,
    model: Annotated[
        list[str] | None,
        typer.Option(envvar="MIEN_MODELS", help="Model to answer with; repeat for more.", show_default="mien-m"),
    ] = None,
    detector: Annotated[str, typer.Option(envvar="MIEN_DETECTOR", help="mtcnn, haar or whole.")] = "mtcnn",
    min_face: Annotated[
        int | None,
        typer.Option(
            envvar="MIEN_MIN_FACE",
            help="Smallest face to look for, in pixels of the photo.",
            show_default="30, or an 80th of the longer side",
        ),
    ] = None,
    side: Annotated[
        str,
        typer.Option(
            envvar="MIEN_SIDE",
            metavar="PIXELS|full|auto",
            help="Longer side that big photos are reduced to; auto: as --min-face needs.",
        ),
    ] = "auto",
    rotate: Annotated[
        str,
        typer.Option(
            envvar="MIEN_ROTATE",
            metavar="auto|0|90|180|270",
            help="Degrees to turn photos clockwise by; auto: tried where nothing sure is found upright.",
        ),
    ] = "auto",
    workers: Annotated[int, typer.Option(envvar="MIEN_WORKERS", help="Threads; 0 for one a core.")] = 0,
    threads: Annotated[int, typer.Option(envvar="MIEN_THREADS", help="Cores for one run of the network.")] = 1,
    max_batch: Annotated[int, typer.Option(envvar="MIEN_MAX_BATCH", help="Most faces in one run of the network.")] = 8,
    max_wait: Annotated[
        float, typer.Option(envvar="MIEN_MAX_WAIT", help="Seconds a face waits at most for others.")
    ] = 0.05,
    max_body: Annotated[float, typer.Option(envvar="MIEN_MAX_BODY", help="Megabytes (MiB) of one request.")] = 20,
    max_held: Annotated[
        float, typer.Option(envvar="MIEN_MAX_HELD", help="Megabytes (MiB) of all requests together.")
    ] = 512,
    max_pixels: Annotated[float, typer.Option(envvar="MIEN_MAX_PIXELS", help="Megapixels of one photo.")] = 50,
    max_photos: Annotated[int, typer.Option(envvar="MIEN_MAX_PHOTOS", help="Photos of one request.")] = 16,
    max_concurrent: Annotated[
        int, typer.Option(envvar="MIEN_MAX_CONCURRENT", help="Requests worked on at once; beyond it: 503.")
    ] = 64,
    body_seconds: Annotated[
        float, typer.Option(envvar="MIEN_BODY_SECONDS", help="Time for a client to send a request.")
    ] = 30,
    header_seconds: Annotated[
        float, typer.Option(envvar="MIEN_HEADER_SECONDS", help="Time for a client to send its headers.")
    ] = 10,
    work_seconds: Annotated[float, typer.Option(envvar="MIEN_WORK_SECONDS", help="Time to answer a request.")] = 30,
    shutdown_seconds: Annotated[
        float, typer.Option(envvar="MIEN_SHUTDOWN_SECONDS", help="Time for running requests to finish at the end.")
    ] = 30,
    api_key_file: Annotated[
        Path | None, typer.Option(envvar="MIEN_API_KEY_FILE", help="File of API keys, one a line; else none is needed.")
    ] = None,
    rate: Annotated[
        int, typer.Option(envvar="MIEN_RATE", help="Requests a minute of one key or address; 0 for any number.")
    ] = 0,
    trusted_proxies: Annotated[
        str, typer.Option(envvar="MIEN_TRUSTED_PROXIES", help="Addresses, with commas, whose X-Forwarded-For counts.")
    ] = "",
    page: Annotated[bool, typer.Option(envvar="MIEN_PAGE", help="Serve the page at /.")] = True,
    log_level: Annotated[str, typer.Option(envvar="MIEN_LOG_LEVEL", help=", ".join(LOG_LEVELS) + ".")] = "info",
) -> None:
    """Answer photos over HTTP, and serve a page to try it with.

    Each option has an environment variable. API keys are read from a file, as a command line can be seen by others; or
    from MIEN_API_KEYS, with commas.
    """
    try:
        from mien.service.server import run
        from mien.service.settings import MEBIBYTE, Settings
    except ImportError as error:
        raise MissingExtra.named("the service", "serve") from error
    from mien.cli.looking import rotation, side_of

    if log_level not in LOG_LEVELS:
        raise UsageError.unknown("log level", log_level, LOG_LEVELS)
    settings = Settings(
        models=tuple(model or ["mien-m"]),
        detector=detector,
        min_face=min_face,
        side=side_of(side),
        rotate=rotation(rotate),
        workers=workers,
        threads=threads,
        max_batch=max_batch,
        max_wait=max_wait,
        max_body=round(max_body * MEBIBYTE),
        max_held=round(max_held * MEBIBYTE),
        max_pixels=round(max_pixels * 1_000_000),
        max_photos=max_photos,
        max_concurrent=max_concurrent,
        body_seconds=body_seconds,
        header_seconds=header_seconds,
        work_seconds=work_seconds,
        shutdown_seconds=shutdown_seconds,
        api_keys=_keys(api_key_file),
        rate=rate,
        trusted_proxies=trusted_proxies,
        page=page,
    )
    run(settings, host, port, log_level=log_level)


def _keys(file: Path | None) -> tuple[str, ...]:
    """The keys of a file, or of the environment; none twice."""
    import os

    if file is None:
        keys = os.environ.get("MIEN_API_KEYS", "").split(",")
    else:
        try:
            keys = file.read_text(encoding="ascii").splitlines()
        except UnicodeDecodeError:
            raise UsageError(f"{file} holds something that is not ASCII: a key is a line of ASCII characters") from None
        except OSError as error:
            raise UsageError(f"cannot read the API keys in {file}: {error.strerror}") from error
    found = tuple(dict.fromkeys(key.strip() for key in keys if key.strip()))
    if file is not None and not found:
        raise UsageError(f"{file} holds no API key")
    return found
