"""Every limit and every lock has a test that reaches it: this is the table of them, and it is complete."""

from __future__ import annotations

import ast
from dataclasses import fields

import pytest

from pynet_browser.proxy.config import Limits
from pynet_browser.proxy.tokens import TokenLimits
from tests.unit.vectors import ROOT

LIMITS = {
    "sessions": [
        "test_session::test_only_so_many_sessions_may_exist",
        "test_http::test_only_so_many_sessions_may_exist",
        "test_admission::test_foreign_clients_count_among_sessions",
    ],
    "unauthenticated": [
        "test_session::test_only_so_many_carriers_may_be_about_to_greet",
        "test_http::test_only_so_many_requests_may_be_about_to_greet",
    ],
    "sockets_per_session": [
        "test_limits::test_a_session_has_only_so_many_sockets",
        "test_limits::test_sockets_of_every_kind_count",
        "test_limits::test_a_page_that_opens_listeners_without_end_runs_out_of_them_alone",
        "test_posix_bounds::test_only_so_many_sockets",
    ],
    "sockets": ["test_limits::test_all_sessions_have_only_so_many_sockets"],
    "connects_per_second": [
        "test_limits::test_connects_beyond_a_burst_are_made_at_the_rate_that_is_allowed",
        "test_limits::test_a_connect_whose_turn_does_not_come_in_time_fails",
    ],
    "connect_burst": ["test_limits::test_connects_beyond_a_burst_are_made_at_the_rate_that_is_allowed"],
    "connects_per_second_total": ["test_bandwidth::test_connections_of_all_sessions_keep_to_the_rate_of_all"],
    "bytes_per_second": [
        "test_bandwidth::test_sockets_of_one_page_share_the_rate_and_none_starves",
        "test_bandwidth::test_datagrams_beyond_the_rate_are_dropped_and_counted",
        "test_bandwidth::test_datagrams_of_hosts_beyond_the_rate_are_dropped_and_counted",
    ],
    "bytes_burst": ["test_bandwidth::test_datagrams_beyond_the_rate_are_dropped_and_counted"],
    "bytes_per_second_total": [
        "test_bandwidth::test_all_pages_together_keep_to_the_rate_of_all",
        "test_bandwidth::test_relayed_requests_keep_to_the_rate_of_all_both_ways",
    ],
    "datagrams_per_second": [
        "test_limits::test_a_page_that_floods_hosts_with_datagrams_is_held_to_its_rate_and_no_other_page",
        "test_limits::test_a_host_that_floods_a_page_with_datagrams_takes_nothing_from_its_other_sockets",
    ],
    "datagram_burst": [
        "test_limits::test_a_page_that_floods_hosts_with_datagrams_is_held_to_its_rate_and_no_other_page"
    ],
    "resolves_per_session": [
        "test_requests::test_only_so_many_names_are_looked_up_at_once",
        "test_requests::test_only_so_many_requests_about_sockets_wait_at_once",
    ],
    "resolves": ["test_limits::test_all_sessions_together_look_up_only_so_many_names_at_once"],
    "buffered_per_session": [
        "test_limits::test_what_hosts_do_not_take_is_bounded_for_each_session",
        "test_limits::test_what_is_sent_before_connections_stand_is_bounded_too",
        "test_limits::test_the_peers_that_datagram_sockets_remember_are_bounded_for_each_session",
    ],
    "buffered_total": [
        "test_limits::test_a_session_has_its_share_however_much_the_others_hold",
        "test_limits::test_a_page_may_send_no_more_than_its_share_when_all_together_hold_too_much",
        "test_posix_bounds::test_messages_without_an_end_are_bounded_together",
    ],
    "message_bytes": [
        "test_limits::test_a_message_beyond_the_limit_ends_its_session_and_no_other",
        "test_limits::test_an_exchange_with_a_message_beyond_the_limit_ends_its_session",
    ],
    "peer_connections": ["test_datachannel::test_there_are_no_more_channels_than_allowed"],
    "rooms": ["test_signalling::test_there_are_only_so_many_rooms"],
    "room_message_bytes": ["test_signalling::test_a_message_has_only_so_many_bytes"],
    "room_messages_per_second": ["test_signalling::test_who_sends_too_fast_has_to_go_and_the_other_stays"],
    "room_burst": ["test_signalling::test_who_sends_too_fast_has_to_go_and_the_other_stays"],
    "room_idle": ["test_signalling::test_who_says_nothing_has_to_go"],
    "room_lifetime": ["test_signalling::test_nobody_stays_for_ever"],
    "posix_message_bytes": ["test_posix_bounds::test_a_message_beyond_the_limit_ends_the_connection"],
}

TOKEN_LIMITS = {
    "sessions": ["test_tokens::test_a_token_has_only_so_many_sessions"],
    "sockets": ["test_tokens::test_a_token_has_only_so_many_sockets_in_all_of_its_sessions"],
    "connects_per_second": [
        "test_tokens::test_all_sessions_of_a_token_share_the_rate_of_its_connects",
        "test_tokens::test_relayed_requests_keep_to_the_rate_of_connects_too",
    ],
    "connect_burst": ["test_tokens::test_all_sessions_of_a_token_share_the_rate_of_its_connects"],
    "bytes_per_second": ["test_bandwidth::test_all_sessions_of_a_token_share_its_rate"],
    "bytes_burst": ["test_bandwidth::test_all_sessions_of_a_token_share_its_rate"],
    "visits": ["test_tokens::test_a_token_has_only_so_many_visits_to_rooms"],
}

LOCKS = {
    "auth_timeout": [
        "test_session::test_a_carrier_that_does_not_greet_in_time_is_closed",
        "test_http::test_a_request_whose_greeting_does_not_come_in_time_is_answered",
    ],
    "hello": [  # a greeting of more than a few KiB
        "test_session::test_a_carrier_that_does_not_begin_with_a_greeting_is_closed",
    ],
    "token": ["test_admission::test_without_the_token_nobody_is_let_in"],
    "origin": ["test_admission::test_pages_of_other_origins_are_refused_whatever_they_know"],
    "Host": ["test_admission::test_names_that_were_rebound_are_refused"],
    "listen": [
        "test_tokens::test_each_token_listens_where_its_rules_allow",
        "test_binding::test_without_a_rule_nobody_listens",
    ],
    "dialled": [  # what was checked after its name was resolved, and nothing else
        "test_resolver::test_a_name_that_changes_its_mind_is_dialled_where_it_was_checked",
        "test_resolver::test_a_denied_destination_is_eacces_and_never_dialled",
    ],
}


TABLES = [LIMITS, TOKEN_LIMITS, LOCKS]


def source_of(name: str) -> str:
    """The source of one test, with its decorators."""
    module, _, test = name.partition("::")
    text = (ROOT / "tests" / "proxy" / f"{module}.py").read_text("utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == test:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    raise AssertionError(f"there is no test {name}")


def test_no_limit_is_without_a_test():
    assert {each.name for each in fields(Limits)} == set(LIMITS)
    assert {each.name for each in fields(TokenLimits)} == set(TOKEN_LIMITS)


@pytest.mark.parametrize(
    ("limit", "test"),
    [(limit, test) for table in TABLES for limit, tests in table.items() for test in tests],
)
def test_every_test_of_the_table_exists_and_names_its_limit(limit, test):
    assert limit in source_of(test)


@pytest.mark.parametrize("table", TABLES)
def test_each_has_at_least_one(table):
    assert [limit for limit, tests in table.items() if not tests] == []
