from __future__ import annotations

import re
from pathlib import Path

import pytest

from pynet_browser.proxy.config import Config, ConfigError, Limits
from pynet_browser.proxy.policy import Rule
from pynet_browser.proxy.tokens import parse_tokens


@pytest.fixture
def toml(tmp_path: Path):
    """Writes a configuration file and returns its path."""

    def write(text: str) -> Path:
        file = tmp_path / "proxy.toml"
        file.write_text(text, "utf-8")
        return file

    return write


def test_by_default_only_this_machine_gets_in_and_only_with_a_token():
    config = Config()
    assert config.host == "127.0.0.1"
    assert not config.public
    assert config.token is not None
    assert len(config.token) >= 43  # 256 bits
    assert Config().token != config.token


def test_repr_does_not_show_the_token():
    assert "s3cret" not in repr(Config(token="s3cret"))
    assert "s3cret" not in repr(Config(metrics_token="s3cret"))


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("127.0.0.1", False),
        ("127.0.0.2", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),
        ("::", True),
        ("192.168.1.5", True),
        ("my-laptop", True),
        ("::ffff:127.0.0.1", True),
    ],
)
def test_listening_beyond_loopback_is_public(host, public):
    assert Config(host=host).public is public


def test_a_proxy_behind_a_balancer_is_public_wherever_it_listens():
    assert Config(behind_balancer=True).public
    with pytest.raises(ConfigError, match="no balancer in front"):
        Config(behind_balancer=True, token=None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "my-laptop"])
def test_a_public_proxy_needs_a_token(host):
    with pytest.raises(ConfigError, match="leave out --no-token, or listen on --host 127"):
        Config(host=host, token=None)
    assert Config(host="127.0.0.1", token=None).token is None


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"port": -1}, "port must be within 0-65535, not -1"),
        ({"port": 65536}, "port must be within 0-65535, not 65536"),
        ({"token": ""}, "the token is empty"),
        ({"grace": 0.0}, "grace must be more than 0 and finite, not 0.0"),
        ({"keepalive": 0.0}, "keepalive must be more than 0 and finite, not 0.0"),
        ({"drain": -1.0}, "drain must be 0 or more and finite, not -1.0"),
        ({"drain": float("inf")}, "drain must be 0 or more and finite, not inf"),
        ({"connect_timeout": float("nan")}, "connect_timeout must be more than 0 and finite, not nan"),
        ({"auth_timeout": float("inf")}, "auth_timeout must be more than 0 and finite, not inf"),
    ],
)
def test_values_that_make_no_sense_are_refused(values, complaint):
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        Config(**values)


def test_limits_are_positive():
    with pytest.raises(ConfigError, match="sockets must be more than 0"):
        Limits(sockets=0)


def test_a_file_gives_every_value(toml, tmp_path):
    file = toml(
        f"""
        host = "0.0.0.0"
        port = 9000
        token = "t"
        origins = ["https://school.example"]
        hostnames = ["proxy.example"]
        allow = ["db.example:5432"]
        deny = ["*:22"]
        listen = ["8000", "udp:0.0.0.0:53"]
        connect_timeout = 3
        auth_timeout = 1.5
        grace = 10
        keepalive = 25
        drain = 0
        pyodide = "{tmp_path.as_posix()}"
        demo = false
        [limits]
        sessions = 7
        """
    )
    assert Config.load({}, file) == Config(
        host="0.0.0.0",
        port=9000,
        token="t",
        origins=("https://school.example",),
        hostnames=("proxy.example",),
        allow=(Rule.parse("db.example:5432"),),
        deny=(Rule.parse("*:22"),),
        listen=(*Rule.parse_listening("8000"), *Rule.parse_listening("udp:0.0.0.0:53")),
        connect_timeout=3.0,
        auth_timeout=1.5,
        grace=10.0,
        keepalive=25.0,
        drain=0.0,
        pyodide=tmp_path,
        demo=False,
        limits=Limits(sessions=7),
    )


def test_the_command_line_wins_over_the_file_and_adds_to_its_lists(toml):
    file = toml('host = "localhost"\nport = 9000\nallow = ["a.example:1"]\n')
    config = Config.load({"port": 9001, "host": None, "allow": ["b.example:2"], "deny": None}, file)
    assert (config.host, config.port) == ("localhost", 9001)
    assert [str(rule) for rule in config.allow] == ["a.example:1", "b.example:2"]
    assert config.deny == ()


@pytest.mark.parametrize(
    ("options", "file", "token"),
    [
        ({"no_token": True}, "", None),
        ({}, "no_token = true", None),
        ({"token": "t"}, "no_token = true", "t"),
        ({"no_token": True}, 'token = "t"', None),
        ({}, 'token = "t"\nno_token = false', "t"),
    ],
)
def test_no_token_is_asked_for_in_words(toml, options, file, token):
    assert Config.load(options, toml(file)).token == token


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("prt = 1", "proxy.toml: unknown key 'prt'; did you mean 'port'?"),
        ("zzz = 1", "proxy.toml: unknown key 'zzz'; there are host, port, token"),
        ('port = "80"', "proxy.toml: port: must be a whole number"),
        ("port = true", "proxy.toml: port: must be a whole number"),
        ("port = 8.5", "proxy.toml: port: must be a whole number"),
        ("port = 70000", "port must be within 0-65535, not 70000 (from "),
        ("host = 1", "proxy.toml: host: must be text"),
        ("demo = 1", "proxy.toml: demo: must be true or false"),
        ("metrics = true", "proxy.toml: metrics: must be text"),
        ('metrics = "all"', "proxy.toml: metrics: must be one of off, token, loopback, open, not 'all'"),
        ('tokens = "/nowhere/at/all"', "proxy.toml: tokens: /nowhere/at/all: "),
        ('metrics_token = ""', "metrics_token is empty; leave it out to have none (from "),
        ("[limits]\nbytes_per_second = 0", "bytes_per_second must be more than 0 and finite, not 0 (from "),
        ("grace = '60'", "proxy.toml: grace: must be a number of seconds"),
        ('allow = "a:1"', "proxy.toml: allow: must be a list of texts"),
        ("allow = [1]", "proxy.toml: allow: must be a list of texts"),
        ('allow = ["a"]', "proxy.toml: allow: 'a' is not a rule: a rule is [tcp:|udp:]host:port"),
        ('listen = ["a:1"]', "proxy.toml: listen: 'a:1' is not a rule: 'a' is not an address"),
        ('origins = ["localhost:8000"]', "'localhost:8000' must be scheme://host[:port], null or *"),
        ('origins = ["http://a.example/path"]', "'http://a.example/path' must be scheme://host[:port]"),
        ('pyodide = "/nowhere/at/all"', "proxy.toml: pyodide: /nowhere/at/all is not a directory"),
        ("limits = 1", "proxy.toml: limits: must be a table"),
        ("[limits]\nsocket = 1", "proxy.toml: limits: unknown key 'socket'; did you mean 'sockets'?"),
        ("[limits]\nsockets = 1.5", "proxy.toml: limits: sockets: must be a whole number"),
        ("[limits]\nsockets = 0", "sockets must be more than 0 and finite, not 0 (from "),
        ("port =", "proxy.toml cannot be read: "),
    ],
)
def test_a_wrong_file_is_refused_by_key_and_name(toml, text, complaint):
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        Config.load({}, toml(text))


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        Config.load({}, tmp_path / "none.toml")


def test_a_wrong_option_names_the_command_line():
    with pytest.raises(ConfigError, match="the command line: allow: 'x' is not a rule"):
        Config.load({"allow": ["x"]})


@pytest.mark.parametrize(
    "origin", ["*", "null", "http://localhost:8000", "https://a.example/", "chrome-extension://abcdef"]
)
def test_origins_that_browsers_send_are_accepted(origin):
    assert Config.load({"origins": [origin]}).origins == (origin,)


# ── Several workers ───────────────────────────────────────────────────────────────────────────────────────


def test_workers_share_what_all_sessions_may_take_and_no_session_gets_less():
    limits = Limits(sessions=5, connects_per_second_total=9)
    tokens = parse_tokens('[tokens.ada]\ntoken = "a"\n[tokens.ada.limits]\nsockets = 7\n')
    config = Config(workers=2, limits=limits, tokens=tokens)
    share = config.share()
    assert (share.limits.sessions, share.limits.connects_per_second_total) == (3, 5)
    assert share.limits.bytes_per_second_total is None
    assert share.limits.sockets == config.limits.sockets // 2
    assert share.limits.sockets_per_session == config.limits.sockets_per_session
    assert share.tokens is not None
    assert share.tokens[0].limits.sockets == 4
    assert share.tokens[0].limits.sessions is None
    assert Config(token="t").share() == Config(token="t")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"workers": 0}, "within 1-64"),
        ({"workers": 65}, "within 1-64"),
        ({"workers": 2, "webrtc_ports": (4000, 4000)}, "needs one of its own"),
    ],
)
def test_workers_that_cannot_be_say_why(values, complaint):
    with pytest.raises(ConfigError, match=complaint):
        Config(**values)
    Config(workers=2, webrtc_ports=(4000, 4000), webrtc=False)


def test_there_are_no_workers_on_windows(monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    Config(workers=1)
    with pytest.raises(ConfigError, match="workers must be 1 on Windows"):
        Config(workers=2)
