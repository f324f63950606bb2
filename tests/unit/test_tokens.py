from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

import pytest

from pynet_browser.proxy.config import Config, ConfigError
from pynet_browser.proxy.policy import Rule
from pynet_browser.proxy.tokens import Token, TokenLimits, digest_of, parse_tokens

SHA256 = hashlib.sha256(b"s3cret").hexdigest()


def test_a_token_has_everything_that_its_table_says():
    text = f"""
        [tokens.ada]
        sha256 = "{SHA256.upper()}"
        allow = ["db.example:5432"]
        deny = ["*:*"]
        listen = ["8000"]
        origins = ["https://school.example"]
        expires = 2026-12-31T00:00:00Z
        [tokens.ada.limits]
        sessions = 3
        sockets = 100
        connects_per_second = 20
        connect_burst = 40
        bytes_per_second = 1_000_000
        bytes_burst = 4_000_000
        """
    assert parse_tokens(text) == (
        Token(
            name="ada",
            digest=digest_of("s3cret"),
            allow=(Rule.parse("db.example:5432"),),
            deny=(Rule.parse("*:*"),),
            listen=Rule.parse_listening("8000"),
            origins=("https://school.example",),
            expires=datetime(2026, 12, 31, tzinfo=UTC),
            limits=TokenLimits(
                sessions=3,
                sockets=100,
                connects_per_second=20,
                connect_burst=40,
                bytes_per_second=1_000_000,
                bytes_burst=4_000_000,
            ),
        ),
    )


def test_a_token_may_stand_there_itself_and_then_has_what_holds_for_all():
    [token] = parse_tokens('[tokens."a.b@c"]\ntoken = "s3cret"')
    assert token == Token(name="a.b@c", digest=digest_of("s3cret"))
    assert (token.origins, token.expires) == (None, None)
    assert "s3cret" not in repr(token)
    assert SHA256 not in repr(token)


def test_a_file_may_name_none_but_must_say_so():
    assert parse_tokens("[tokens]") == ()
    with pytest.raises(ConfigError, match=re.escape("it has no table [tokens]")):
        parse_tokens("")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("tokens = 1", "it has no table [tokens]"),
        ("[tokens.a", "it is no TOML: "),
        ("port = 1\n[tokens]", "unknown key 'port'; there is tokens"),
        ("[tokens]\nada = 's3cret'", "tokens.ada: must be a table, [tokens.ada]"),
        ('[tokens."a b"]\ntoken = "x"', "'a b' is no name for a token"),
        ('[tokens."a\\nb"]\ntoken = "x"', "is no name for a token"),
        (f'[tokens.{"a" * 65}]\ntoken = "x"', "is no name for a token"),
        ("[tokens.ada]", "tokens.ada: it needs either token or sha256"),
        (
            f"[tokens.ada]\ntoken = 's3cret'\nsha256 = '{SHA256}'",
            "tokens.ada: it needs either token or sha256",
        ),
        ("[tokens.ada]\ntoken = ''", "tokens.ada: token: it is empty"),
        ("[tokens.ada]\nsha256 = 's3cret'", "tokens.ada: sha256: must be the 64 hexadecimal digits"),
        ("[tokens.ada]\ntokn = 's3cret'", "tokens.ada: unknown key 'tokn'; did you mean 'token'?"),
        ("[tokens.ada]\ntoken = 's3cret'\nallow = ['x']", "tokens.ada: allow: 'x' is not a rule"),
        ("[tokens.ada]\ntoken = 's3cret'\nexpires = 2026-12-31", "tokens.ada: expires: must be a moment"),
        ("[tokens.ada]\ntoken = 's3cret'\nexpires = 2026-12-31T00:00:00", "such as 2026-12-31T00:00:00Z"),
        ("[tokens.ada]\ntoken = 's3cret'\nexpires = '2026'", "tokens.ada: expires: must be a moment"),
        ("[tokens.ada]\ntoken = 's3cret'\nlimits = 1", "tokens.ada.limits: must be a table"),
        (
            "[tokens.ada]\ntoken = 's3cret'\nlimits = {socket = 1}",
            "tokens.ada.limits: unknown key 'socket'; did you mean 'sockets'?",
        ),
        (
            "[tokens.ada]\ntoken = 's3cret'\nlimits = {sockets = 0}",
            "tokens.ada.limits.sockets must be more",
        ),
        (
            "[tokens.ada]\ntoken = 's3cret'\n[tokens.bob]\ntoken = 's3cret'",
            "tokens.bob has the token of tokens.ada; give each its own",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_key_and_shows_no_token(text, complaint):
    with pytest.raises(ConfigError, match=re.escape(complaint)) as caught:
        parse_tokens(text)
    assert "s3cret" not in str(caught.value)


def test_a_configuration_names_the_file(tmp_path):
    file = tmp_path / "tokens.toml"
    file.write_text('[tokens.ada]\ntoken = "s3cret"')
    config = Config.load({"tokens": str(file), "host": "0.0.0.0"})
    assert [token.name for token in config.tokens or ()] == ["ada"]
    assert config.token is None
    assert config.wants_token
    assert Config.load({"tokens": str(file), "token": "t"}).token == "t"
    with pytest.raises(ConfigError, match=r"tokens\.ada is the token without a name; give it its own"):
        Config.load({"tokens": str(file), "token": "s3cret"})
    file.write_text("[tokens.ada]")
    with pytest.raises(ConfigError, match=r"tokens: .*tokens\.toml: tokens\.ada: it needs either"):
        Config.load({"tokens": str(file)})
    with pytest.raises(ConfigError, match=r"tokens: .*none\.toml: .*No such file"):
        Config.load({"tokens": str(tmp_path / "none.toml")})
