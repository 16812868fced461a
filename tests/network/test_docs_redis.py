"""The tutorial's client of Redis, with a real one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from .examples import needs_program
from .redis_peers import redis_on_a_port

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "redis.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = [
    needs_program("redis-server"),
    pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here"),
]


async def test_the_chapters_client_and_a_real_redis(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {"__name__": "docs"}
    for program in BLOCK.findall(PAGE.read_text()):
        exec(compile(program, PAGE, "exec"), names)
    async with redis_on_a_port(tmp_path) as (_, port):
        await names["greet"](port)
        assert capsys.readouterr().out == "b'hello'\n"
    async with redis_on_a_port(tmp_path, "--requirepass", "secret") as (_, port):
        login = names["RedisProtocol"](b"secret")
        async with names["RedisWithSubscriptions"](login, "127.0.0.1", port) as redis:
            commands = [[b"INCR", b"fruit"], [b"INCR", b"fruit"]]
            assert await redis.transaction(*commands) == [1, 2]
            with pytest.raises(names["RedisError"], match="EXECABORT"):
                await redis.transaction([b"DANCE"])
            async with redis.subscribe(b"news") as messages:
                assert await redis.execute(b"PUBLISH", b"news", b"apples") == 1
                assert await anext(messages) == [b"message", b"news", b"apples"]
