"""Databases to count into: SQLite files and a real PostgreSQL, started for the tests by an ordinary user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

NAMES = count()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """The folder of a PostgreSQL cluster that listens on a socket in it, and nowhere else."""
    initdb, postgres = _program("initdb"), _program("postgres")
    if initdb is None or postgres is None:
        pytest.skip("needs PostgreSQL's initdb and postgres (Debian's package postgresql)")
    user = _ordinary_user()
    if user is None:
        pytest.skip("PostgreSQL refuses to run as root, and there is no other user")
    folder = Path(tempfile.mkdtemp(prefix="mien-pg-", dir="/tmp"))  # sockets want a short path
    os.chown(folder, *((user.pw_uid, user.pw_gid) if os.getuid() == 0 else (-1, -1)))
    switch = {"user": user.pw_uid, "group": user.pw_gid} if os.getuid() == 0 else {}
    data = folder / "data"
    subprocess.run(
        [initdb, "-D", data, "-A", "trust", "-U", "mien", "-E", "UTF8", "--no-sync"],
        check=True,
        capture_output=True,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(folder)},
        **switch,  # type: ignore[call-overload]
    )
    server = subprocess.Popen(
        [postgres, "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        **switch,  # type: ignore[call-overload]
    )
    try:
        _wait(folder)
        yield folder
    finally:
        server.terminate()
        server.wait(timeout=60)
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/counts.db"
    return fresh_database(request.getfixturevalue("cluster"))


def fresh_database(cluster: Path) -> str:
    import psycopg

    name = f"counts_{next(NAMES)}"
    with psycopg.connect(host=str(cluster), user="mien", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"postgresql://mien@/{name}?host={cluster}"


def _program(name: str) -> str | None:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    return shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")]))


def _ordinary_user() -> pwd.struct_passwd | None:
    if os.getuid():
        return pwd.getpwuid(os.getuid())
    known = {user.pw_name: user for user in pwd.getpwall()}
    return known.get("postgres") or known.get("nobody")


def _wait(folder: Path) -> None:
    import time

    import psycopg

    for _ in range(600):
        try:
            psycopg.connect(host=str(folder), user="mien", dbname="postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("PostgreSQL does not start")
