"""Real servers for tests: private instances on free loopback ports, in directories of their own.

Each is used with ``with``: it answers when the block begins, and its process is gone when the block ends.
A server is stopped through the handle of its own process, never by name, so that instances which run for
other purposes are safe.
"""

from tests.servers.balancers import HAProxy, Nginx
from tests.servers.databases import MariaDbServer, PostgresServer, RedisServer
from tests.servers.files import FtpServer
from tests.servers.messages import MqttServer, SmtpServer, SyslogServer
from tests.servers.names import DnsServer
from tests.servers.process import ROOT, ServerError, ServerProcess, required
from tests.servers.proxy import ProxyProcess
from tests.servers.websocket import WebSocketEcho

__all__ = [
    "ROOT",
    "DnsServer",
    "FtpServer",
    "HAProxy",
    "MariaDbServer",
    "MqttServer",
    "Nginx",
    "PostgresServer",
    "ProxyProcess",
    "RedisServer",
    "ServerError",
    "ServerProcess",
    "SmtpServer",
    "SyslogServer",
    "WebSocketEcho",
    "required",
]
