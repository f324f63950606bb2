"""DNS."""

from __future__ import annotations

import dns.message
import dns.query
import dns.rcode

from tests.machine import find_dnsmasq
from tests.servers.process import ServerProcess, required

# No resolver of this machine and no file of its hosts: what is not here does not exist.
ZONE = """
no-resolv
no-hosts
local=/example.test/
host-record=host.example.test,192.0.2.7,2001:db8::7
cname=alias.example.test,host.example.test
txt-record=note.example.test,"first part","second part"
srv-host=_chat._tcp.example.test,host.example.test,5222,10,20
"""


class DnsServer(ServerProcess):
    """dnsmasq, over UDP and TCP, with the names of `ZONE` and one that is too long for a datagram.

    Attributes:
        large: The strings of the TXT records of ``large.example.test``: an answer over UDP is cut off.
    """

    def __init__(self) -> None:
        super().__init__()
        self.large = [f"{number:02} ".ljust(200, "x") for number in range(20)]

    def prepare(self) -> None:
        records = [f"txt-record=large.example.test,{text}" for text in self.large]
        (self.directory / "dnsmasq.conf").write_text("\n".join([ZONE, *records, ""]))

    def command(self) -> list[str]:
        program = required(find_dnsmasq, "dnsmasq")
        where = [f"--listen-address={self.host}", "--bind-interfaces", f"--port={self.port}"]
        return [program, "--no-daemon", f"--conf-file={self.directory / 'dnsmasq.conf'}", *where]

    def answers(self) -> bool:
        question = dns.message.make_query("host.example.test", "A")
        # Over TCP it is known at once when nobody listens. It opens both before it serves either.
        return dns.query.tcp(question, self.host, 1, self.port).rcode() == dns.rcode.NOERROR
