from __future__ import annotations

import hmac
from collections.abc import Callable

import pytest

from pynet_browser.proxy.config import Config
from pynet_browser.proxy.guard import Refusal
from pynet_browser.proxy.policy import Policy, Rule
from pynet_browser.proxy.resolver import Resolver
from pynet_browser.proxy.tenants import Tenant, Tenants
from pynet_browser.proxy.tokens import parse_tokens


def tenants(config: Config, clock: Callable[[], float] = lambda: 0.0) -> Tenants:
    policy = Policy((), (), public=config.public, own_port=config.port)
    return Tenants(config, policy, Resolver(policy), clock)


def named(text: str, **options) -> Config:
    return Config(token=None, tokens=parse_tokens(text), **options)


def refusal(tenants: Tenants, token: str) -> Refusal:
    found = tenants.find(token)
    assert isinstance(found, Refusal)
    return found


def let_in(tenants: Tenants, token: str) -> Tenant:
    found = tenants.find(token)
    assert isinstance(found, Tenant)
    return found


class Member:
    def __init__(self) -> None:
        self.reason = ""
        self.changes = 0

    def dismiss(self, reason: str) -> None:
        self.reason = reason

    def bounds_changed(self) -> None:
        self.changes += 1


# ── The token without a name ──────────────────────────────────────────────────────────────────────────────


def test_the_right_token_gets_in():
    known = tenants(Config(token="s3cret"))
    assert let_in(known, "s3cret") is known.general
    known = tenants(Config(token=None))
    assert let_in(known, "") is let_in(known, "anything") is known.general


@pytest.mark.parametrize("given", ["wrong", "s3cre", "s3cret ", "S3CRET", "ä", "\ud800"])
def test_a_wrong_token_is_refused_without_showing_either(given):
    refused = refusal(tenants(Config(token="s3cret")), given)
    assert refused.code == "token"
    assert given not in refused.message
    assert "s3cret" not in refused.message


def test_a_missing_token_is_asked_for():
    assert refusal(tenants(Config(token="s3cret")), "") == Refusal(
        "token", "the proxy wants a token; it prints one, in its URL, when it starts"
    )
    assert refusal(tenants(named("[tokens]")), "") == Refusal(
        "token", "the proxy wants a token; whoever runs it hands them out"
    )
    assert refusal(tenants(named("[tokens]")), "x").message == (
        "the proxy does not know this token; whoever runs it hands them out"
    )


def test_the_token_is_compared_in_constant_time_and_not_itself(monkeypatch):
    compared = []
    known = tenants(Config(token="right"))
    monkeypatch.setattr(hmac, "compare_digest", lambda *pair: compared.append(pair))
    refusal(known, "given")
    [pair] = compared
    assert [len(each) for each in pair] == [64, 64]
    assert pair[0] != pair[1]


def test_what_tokens_are_kept_under_differs_from_proxy_to_proxy():
    config = named('[tokens.ada]\ntoken = "a"')
    keys = [list(tenants(config)._named) for _ in range(2)]
    assert keys[0] != keys[1]


# ── Named ones ────────────────────────────────────────────────────────────────────────────────────────────

TWO = """
[tokens.ada]
token = "a"
allow = ["10.0.0.5:5432"]
listen = ["8000"]
origins = ["https://ada.example"]
[tokens.bob]
token = "b"
deny = ["*:80"]
"""


def test_each_token_has_its_own_rules_beside_those_of_all():
    known = tenants(
        named(TWO, host="0.0.0.0", allow=(Rule.parse("10.0.0.6:1"),), origins=("https://x.example",))
    )
    ada, bob = let_in(known, "a"), let_in(known, "b")
    assert (ada.name, bob.name) == ("ada", "bob")
    assert ada.policy.decide("tcp", "10.0.0.5", "10.0.0.5", 5432).allowed
    assert not bob.policy.decide("tcp", "10.0.0.5", "10.0.0.5", 5432).allowed
    assert bob.policy.decide("tcp", "10.0.0.6", "10.0.0.6", 1).allowed
    assert not bob.policy.decide("tcp", "1.1.1.1", "1.1.1.1", 80).allowed
    assert ada.policy.decide("tcp", "1.1.1.1", "1.1.1.1", 80).allowed
    assert ada.policy.decide_listen("tcp", "127.0.0.1", 8000).allowed
    assert not bob.policy.decide_listen("tcp", "127.0.0.1", 8000).allowed
    assert (ada.origins, bob.origins) == (("https://ada.example",), ("https://x.example",))
    assert set(known.origins) == {"https://ada.example", "https://x.example"}


def test_rules_that_are_built_in_later_hold_for_every_token():
    policy = Policy((), (), public=False)
    known = Tenants(named(TWO), policy, Resolver(policy))
    policy.add_built_in(deny=[Rule.parse("1.1.1.1:443")])
    assert not let_in(known, "a").policy.decide("tcp", "1.1.1.1", "1.1.1.1", 443).allowed
    known.replace(named(TWO))
    assert not let_in(known, "b").policy.decide("tcp", "1.1.1.1", "1.1.1.1", 443).allowed


def test_the_token_without_a_name_stands_beside_them():
    known = tenants(Config(token="general", tokens=parse_tokens(TWO)))
    assert let_in(known, "general").name == ""
    assert [tenant.name for tenant in known] == ["", "ada", "bob"]
    assert refusal(known, "x").message.startswith("the token is not this proxy's")


def test_a_token_that_is_gone_sends_away_whoever_came_with_it():
    known = tenants(named(TWO))
    ada, bob, errand = Member(), Member(), Member()
    let_in(known, "a").members.add(ada)
    let_in(known, "a").errands.add(errand)
    tenant = let_in(known, "b")
    tenant.members.add(bob)
    known.replace(named('[tokens.bob]\ntoken = "b"\nlimits = {sockets = 7}'))
    assert ada.reason == errand.reason == "the token 'ada' was revoked"
    assert refusal(known, "a").message == "the token 'ada' was revoked"
    assert known.knows("a")
    assert (bob.reason, bob.changes) == ("", 1)
    assert let_in(known, "b") is tenant
    assert tenant.limits.sockets == 7
    known.replace(named(TWO))
    assert let_in(known, "a").members == set()


def test_a_token_that_is_another_under_the_same_name_is_another():
    known = tenants(named('[tokens.ada]\ntoken = "a"'))
    member = Member()
    let_in(known, "a").members.add(member)
    known.replace(named('[tokens.ada]\ntoken = "new"'))
    assert member.reason == "the token 'ada' was revoked"
    assert let_in(known, "new").name == "ada"


def test_the_same_token_under_another_name_is_another():
    known = tenants(named('[tokens.ada]\ntoken = "a"'))
    member = Member()
    let_in(known, "a").members.add(member)
    known.replace(named('[tokens.eve]\ntoken = "a"'))
    assert member.reason == "the token 'ada' was revoked"
    assert let_in(known, "a").name == "eve"


def test_a_token_ends_when_its_time_has_come():
    now = [1_000_000.0]
    known = tenants(named('[tokens.ada]\ntoken = "a"\nexpires = 1970-01-12T13:46:41Z'), lambda: now[0])
    let_in(known, "a")
    now[0] += 1
    assert refusal(known, "a") == Refusal("token", "the token 'ada' has expired")


def test_every_token_that_is_known_is_kept_out_of_logs():
    known = tenants(Config(token="general", tokens=parse_tokens(TWO)))
    assert [known.knows(text) for text in ("general", "a", "b", "c", "")] == [True, True, True, False, False]
    assert not tenants(Config(token=None)).knows("")
