"""`mien serve`: the HTTP service and its page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import rotation, side_of


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
    workers: Annotated[
        int, typer.Option(envvar="MIEN_WORKERS", help="Threads; 0 for one a core that memory is there for.")
    ] = 0,
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
    decode_seconds: Annotated[
        float,
        typer.Option(
            envvar="MIEN_DECODE_SECONDS",
            help="Time to decode a photo, in a process of its own; 0 to decode in the service's process.",
        ),
    ] = 10,
    decode_memory: Annotated[
        float, typer.Option(envvar="MIEN_DECODE_MEMORY", help="Megabytes (MiB) that decoding a photo may take.")
    ] = 1024,
    memory: Annotated[
        float,
        typer.Option(
            envvar="MIEN_MEMORY",
            help="Megabytes (MiB) that the service may take, by which it chooses the number of workers; 0 for what the "
            "container or machine has.",
        ),
    ] = 0,
    max_concurrent: Annotated[
        int, typer.Option(envvar="MIEN_MAX_CONCURRENT", help="Requests worked on at once; beyond it: 503.")
    ] = 64,
    max_explained: Annotated[
        int, typer.Option(envvar="MIEN_MAX_EXPLAINED", help="Explanations of those; 0 for an eighth.")
    ] = 0,
    max_bodies: Annotated[
        int, typer.Option(envvar="MIEN_MAX_BODIES", help="Requests whose bodies are on their way at once.")
    ] = 256,
    max_bodies_each: Annotated[
        int, typer.Option(envvar="MIEN_MAX_BODIES_EACH", help="Those of one caller; 0 for half of them.")
    ] = 0,
    max_connections: Annotated[
        int, typer.Option(envvar="MIEN_MAX_CONNECTIONS", help="Connections of one address; in all four times as many.")
    ] = 256,
    body_seconds: Annotated[
        float, typer.Option(envvar="MIEN_BODY_SECONDS", help="Time for a client to send a request.")
    ] = 30,
    header_seconds: Annotated[
        float, typer.Option(envvar="MIEN_HEADER_SECONDS", help="Time for a client to send its headers.")
    ] = 10,
    answer_seconds: Annotated[
        float, typer.Option(envvar="MIEN_ANSWER_SECONDS", help="Time for a client to read its answer.")
    ] = 30,
    work_seconds: Annotated[float, typer.Option(envvar="MIEN_WORK_SECONDS", help="Time to answer a request.")] = 30,
    shutdown_seconds: Annotated[
        float, typer.Option(envvar="MIEN_SHUTDOWN_SECONDS", help="Time for running requests to finish at the end.")
    ] = 30,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            envvar="MIEN_API_KEY_FILE",
            help="File of API keys, one a line, read again when it changes; else none is needed.",
        ),
    ] = None,
    rate: Annotated[
        int, typer.Option(envvar="MIEN_RATE", help="Requests a minute of one key or address; 0 for any number.")
    ] = 0,
    trusted_proxies: Annotated[
        str, typer.Option(envvar="MIEN_TRUSTED_PROXIES", help="Addresses, with commas, whose X-Forwarded-For counts.")
    ] = "",
    root_path: Annotated[
        str, typer.Option(envvar="MIEN_ROOT_PATH", help="Path below which a proxy serves it, e.g. /mien.")
    ] = "",
    cors: Annotated[
        str, typer.Option(envvar="MIEN_CORS", help="Origins, with commas, whose pages may ask; * for all.")
    ] = "",
    page: Annotated[bool, typer.Option(envvar="MIEN_PAGE", help="Serve the page at /.")] = True,
    web: Annotated[
        Path | None,
        typer.Option(envvar="MIEN_WEB", help="Folder of `mien web`: visitors may also let their browser do the work."),
    ] = None,
    log_level: Annotated[
        str, typer.Option(envvar="MIEN_LOG_LEVEL", help="critical, error, warning, info, debug.")
    ] = "info",
) -> None:
    """Answer photos over HTTP, and serve a page to try it with.

    Each option has an environment variable: --max-body is MIEN_MAX_BODY. API keys are read from a file, as a command
    line can be seen by others; or from MIEN_API_KEYS, with commas.
    """
    from mien.service.server import run
    from mien.service.settings import MEBIBYTE, Settings

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
        decode_seconds=decode_seconds,
        decode_memory=round(decode_memory * MEBIBYTE),
        memory=round(memory * MEBIBYTE),
        max_concurrent=max_concurrent,
        max_explained=max_explained,
        max_bodies=max_bodies,
        max_bodies_each=max_bodies_each,
        max_connections=max_connections,
        body_seconds=body_seconds,
        header_seconds=header_seconds,
        answer_seconds=answer_seconds,
        work_seconds=work_seconds,
        shutdown_seconds=shutdown_seconds,
        api_keys=_listed(os.environ.get("MIEN_API_KEYS", "")) if api_key_file is None else (),
        api_key_file=api_key_file,
        rate=rate,
        trusted_proxies=trusted_proxies,
        page=page,
        root_path=root_path.rstrip("/"),
        cors=_listed(cors),
        web=web,
    )
    run(settings, host, port, log_level=log_level)


def _listed(text: str) -> tuple[str, ...]:
    """The words between commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())
