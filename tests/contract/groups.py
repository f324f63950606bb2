"""What UDP sockets that speak to many at once promise."""

import errno
import socket

from tests.contract.cases import bound_datagram, datagram_socket, equal, raising, suite

CASES, case = suite()


@case
def broadcasting_must_be_allowed():
    with bound_datagram(address=("0.0.0.0", 0)) as listener, datagram_socket() as one:
        port = listener.getsockname()[1]
        for host in ("255.255.255.255", "127.255.255.255"):
            with raising(PermissionError, errno.EACCES):
                one.sendto(b"x", (host, port))
            with raising(PermissionError, errno.EACCES):
                one.connect((host, port))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        one.sendto(b"to all", ("127.255.255.255", port))
        data, (host, _) = listener.recvfrom(100)
        equal((data, host), (b"to all", "127.0.0.1"))


@case
def a_group_hears_what_is_sent_to_it(multicast):
    membership = socket.inet_aton(multicast) + socket.inet_aton("127.0.0.1")
    with bound_datagram(address=("", 0)) as member, bound_datagram() as one:
        port = member.getsockname()[1]
        member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        with raising(OSError, errno.EADDRINUSE):
            member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
        one.sendto(b"to the group", (multicast, port))
        equal(member.recvfrom(100), (b"to the group", one.getsockname()))
        member.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, membership)
        with raising(OSError, errno.EADDRNOTAVAIL):
            member.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, membership)
        one.sendto(b"nobody", (multicast, port))
        one.sendto(b"one", ("127.0.0.1", port))
        equal(member.recv(100), b"one")


@case
def a_sender_hears_its_own_group_only_if_it_wants_to(multicast):
    with bound_datagram(address=("", 0)) as member:
        port = member.getsockname()[1]
        member.setsockopt(
            socket.IPPROTO_IP,
            socket.IP_ADD_MEMBERSHIP,
            socket.inet_aton(multicast) + socket.inet_aton("127.0.0.1"),
        )
        member.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        member.sendto(b"heard", (multicast, port))
        equal(member.recv(100), b"heard")
