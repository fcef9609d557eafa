"""What the doctor says of the servers of central stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from routes.doctor import examine
from tests.databases import PASSWORD, MariaServer
from tests.servers import free_ports
from tests.unit.sample_config import FILES

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def lax() -> Iterator[MariaServer]:
    """A server that takes no LOAD DATA LOCAL."""
    with MariaServer("local_infile=0") as server:
        yield server


async def about_stores(folder: Path, url: str, password: str = PASSWORD) -> list[tuple[str, bool, str]]:
    """Findings about stores, of a configuration whose `ent` lies at a URL."""
    secret = folder / "home" / "secrets" / "database"
    secret.parent.mkdir(parents=True, mode=0o700)
    secret.write_text(password)
    secret.chmod(0o600)
    url = url.replace(PASSWORD, "${file:database}")
    config = folder / "config"
    for name, content in (FILES | {"hub.yaml": f'city: 样例市\nstores: {{ent: "{url}"}}\n', "samples/x.csv": "a\n"}).items():
        (config / name).parent.mkdir(parents=True, exist_ok=True)
        (config / name).write_text(content, "utf-8")
    return [(found["what"], found["ok"], found["hint"]) for found in await examine(config, folder / "home") if "store ent" in found["what"]]


async def test_a_server_without_load_data_is_said_to_be_slower_and_left_as_it_is(tmp_path: Path, lax: MariaServer) -> None:
    database = lax.database()

    ((what, ok, _),) = await about_stores(tmp_path, lax.url(database))

    assert ok
    assert "local_infile" in what
    assert lax.execute("SHOW TABLES", database=database) == []


async def test_a_server_that_lets_nobody_in_or_is_away_has_a_way_out(tmp_path: Path, lax: MariaServer) -> None:
    url = lax.url(lax.database())
    away = url.replace(f":{lax.port}/", f":{free_ports(1)[0]}/")

    found = [*await about_stores(tmp_path / "refusing", url, "an0ther-Word"), *await about_stores(tmp_path / "away", away)]

    assert [ok for _, ok, _ in found] == [False, False]
    assert all(hint for _, _, hint in found)
    assert all(secret not in f"{finding}" for finding in found for secret in (PASSWORD, "an0ther-Word"))


async def test_a_server_that_loads_fast_only_answers(tmp_path: Path) -> None:
    with MariaServer() as server:
        found = await about_stores(tmp_path, server.url(server.database()))

    assert found == [("the server of store ent answers", True, "")]
