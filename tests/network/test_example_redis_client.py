"""``examples/redis_client.py`` prints what redis-cli prints, asked by both of a real Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from .examples import EXAMPLES, PROGRAM_TIMEOUT, needs_program, run_program
from .redis_peers import redis_on_a_port

sys.path.insert(0, str(EXAMPLES))

from _redis_print import formatted, printed
from _redis_resp import split_words
from redis_client import RedisClient, RedisProtocol

pytestmark = [needs_program("redis-server"), needs_program("redis-cli")]

SCRIPT = rb"""
FLUSHALL
PING
PING "two words"
ECHO "a\r\nb\t\x00\xff\\ \"quoted\" \a\b"
ECHO ""
SET greeting hello
SET greeting hello NX
GET greeting
GET nothing
INCR counter
INCRBYFLOAT counter 1.5
INCR greeting
NOSUCH command
RPUSH list a b c d e f g h i "j k"
LRANGE list 0 -1
LRANGE nothing 0 -1
LPOP list 2
LPOP nothing
LPOS list zz
HSET hash field value other "\xc3\xa9"
HGETALL hash
HGETALL nothing
HMGET hash field nothing
HRANDFIELD nothing
SADD set 1
SMEMBERS set
SMEMBERS nothing
SISMEMBER set 1
SMISMEMBER set 1 2
ZADD scores 1 a 2.5 b inf c -inf d 3.14 e
ZSCORE scores b
ZSCORE scores c
ZSCORE scores nothing
ZRANGE scores 0 -1 WITHSCORES
ZRANGE scores 0 0
ZPOPMIN scores
ZMSCORE scores a e nothing
XADD stream 1-1 name value
XADD stream 1-2 name "other value" more yes
XRANGE stream - +
XREAD STREAMS stream 0
XINFO STREAM stream
GEOADD places 13.361389 38.115556 Palermo
GEOPOS places Palermo nothing
CONFIG GET maxmemory
CONFIG GET nothing
COMMAND DOCS get
COMMAND INFO get nothing
COMMAND GETKEYS set a b
CLIENT SETNAME me
CLIENT GETNAME
EVAL "return {1,'two',{3,{},{'four'}},redis.status_reply('fine'),redis.error_reply('ERR not')}" 0
EVAL "return {false,{false},3}" 0
EVAL "return redis.error_reply('MINE alone')" 0
EVAL "redis.setresp(3);return {map={a={map={b={1,2}}}}}" 0
EVAL "redis.setresp(3);return {set={x=true}}" 0
EVAL "redis.setresp(3);return {true,false,{double=3.1},{map={}},{set={}},{map={[1]={1}}}}" 0
EVAL "return {1,2,3,4,5,6,7,8,9,{10,{11}},11}" 0
DEBUG PROTOCOL string
DEBUG PROTOCOL integer
DEBUG PROTOCOL double
DEBUG PROTOCOL null
DEBUG PROTOCOL array
DEBUG PROTOCOL set
DEBUG PROTOCOL map
DEBUG PROTOCOL verbatim
DEBUG PROTOCOL true
DEBUG PROTOCOL false
MEMORY DOCTOR
LATENCY DOCTOR
CLUSTER INFO
OBJECT ENCODING list
TYPE list
DBSIZE
""".strip()


@pytest.mark.parametrize("resp3", [False, True], ids=["RESP2", "RESP3"])
@pytest.mark.parametrize("on_terminal", [False, True], ids=["raw", "formatted"])
async def test_replies_are_printed_as_redis_cli_prints_them(
    tmp_path: Path, resp3: bool, on_terminal: bool
) -> None:
    """Both ask all of it; the second one finds what the first one found."""
    async with redis_on_a_port(tmp_path, "--enable-debug-command", "yes") as (_, port):
        command = ["redis-cli", "-p", str(port), *["-3"] * resp3]
        command += ["--no-raw"] * on_terminal
        done = await run_program(*command, stdin=SCRIPT + b"\n")
        protocol = RedisProtocol(resp3=resp3)
        ours: list[bytes] = []
        async with (
            RedisClient("127.0.0.1", port, protocol) as redis,
            redis.requests.session() as session,
        ):
            for line in SCRIPT.splitlines():
                words = split_words(line)
                assert words
                reply = await session.request(words)
                ours.append(printed(reply, list(map(os.fsdecode, words)), on_terminal=on_terminal))
    assert b"".join(ours).split(b"\n") == done.stdout.split(b"\n")


async def test_big_numbers_and_attributes(tmp_path: Path) -> None:
    """Which redis-cli of Redis 7.0 cannot read in RESP3."""
    async with (
        redis_on_a_port(tmp_path, "--enable-debug-command", "yes") as (_, port),
        RedisClient("127.0.0.1", port) as redis,
    ):
        number = await redis.execute("DEBUG", "PROTOCOL", "bignum")
        assert number == 1234567999999999999999999999999999999
        assert formatted(number) == b"(integer) 1234567999999999999999999999999999999"
        reply = await redis.execute("DEBUG", "PROTOCOL", "attrib")
        assert reply == b"Some real reply following the attribute"
        reply = await redis.execute("DEBUG", "PROTOCOL", "push")
        assert reply == b"Some real reply following the push reply"
        push = redis.requests.pushes.receive_nowait()
        assert push == [b"server-cpu-usage", 42]


# The program itself

CLIENT = (sys.executable, "-W", "error", str(EXAMPLES / "redis_client.py"))


@pytest.mark.on_one_python
async def test_the_program(tmp_path: Path) -> None:
    async with redis_on_a_port(tmp_path) as (_, port):
        ours = (*CLIENT, "--port", str(port))
        theirs = ("redis-cli", "-p", str(port))
        await run_program(*theirs, "RPUSH", "list", "a", "b c")
        for words in (
            ("LRANGE", "list", "0", "-1"),
            ("NOSUCH", "--port", "-x"),
            ("ECHO", os.fsdecode(b"caf\xe9 \xc3\xa9")),
        ):
            for flags, their_flags in (
                ((), ()),
                (("--resp3", "--formatted"), ("-3", "--no-raw")),
            ):
                done = await run_program(*ours, *flags, *words)
                expected = await run_program(*theirs, *their_flags, *words)
                assert done.stdout == expected.stdout
                assert (done.returncode, done.stderr) == (expected.returncode, b"")


@pytest.mark.on_one_python
async def test_the_program_logs_in(tmp_path: Path) -> None:
    """In the handshake, in both versions; a refused login is told at once."""
    options = ("--requirepass", "secret", "--user", "ann", "on", ">hers", "~*", "+@all")
    async with redis_on_a_port(tmp_path, *options) as (_, port):
        ours = (*CLIENT, "--port", str(port))
        for flags in ((), ("--resp3",)):
            for login, name in (((), "default"), (("--user", "ann"), "ann")):
                password = "hers" if login else "secret"
                done = await run_program(
                    *ours, *flags, *login, "--password", password, "ACL", "WHOAMI"
                )
                assert (done.returncode, done.stdout) == (0, f"{name}\n".encode()), done.stderr
            done = await run_program(*ours, *flags, "--password", "wrong", "PING")
            assert (done.returncode, done.stdout) == (1, b"")
            assert b"WRONGPASS" in done.stderr
            assert done.stderr.count(b"\n") == 1
        done = await run_program(*ours, "PING")
        assert done.stdout == b"NOAUTH Authentication required.\n\n"


@pytest.mark.on_one_python
async def test_nobody_is_there() -> None:
    """Row P4."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    done = await run_program(*CLIENT, "--port", str(port), "PING")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"refused" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("flag", [(), ("--resp3",)], ids=["RESP2", "RESP3"])
async def test_a_subscription_is_printed_until_ctrl_c(
    tmp_path: Path, flag: tuple[str, ...]
) -> None:
    async with redis_on_a_port(tmp_path) as (_, port):
        command = [*CLIENT, "--port", str(port), *flag, "SUBSCRIBE", "news"]
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        async with process.stdout:
            try:
                with trio.fail_after(PROGRAM_TIMEOUT):
                    await read_until(process.stdout, b"subscribe\nnews\n1\n")
                    async with RedisClient("127.0.0.1", port) as redis:
                        assert await redis.execute("PUBLISH", "news", "one") == 1
                    await read_until(process.stdout, b"message\nnews\none\n")
                    process.send_signal(signal.SIGINT)
                    assert await process.wait() == 130
            finally:
                process.kill()
                with trio.CancelScope(shield=True):
                    await process.wait()


async def read_until(stream: trio.abc.ReceiveStream, expected: bytes) -> None:
    said = b""
    while said != expected:
        data = await stream.receive_some()
        assert data, said
        said += data
