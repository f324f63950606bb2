"""Redis, PostgreSQL and MariaDB."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pg8000.dbapi
import pymysql

from tests.machine import find_mariadb, find_postgresql, find_redis
from tests.servers.process import ServerError, ServerProcess, required


class RedisServer(ServerProcess):
    """redis-server, in memory only."""

    def command(self) -> list[str]:
        program = required(find_redis, "redis")
        return [program, "--bind", self.host, "--port", str(self.port), "--save", "", "--appendonly", "no"]

    def answers(self) -> bool:
        with socket.create_connection(self.address, timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"


class LoginServer(ServerProcess):
    """A database with one user, who logs in with a password.

    Attributes:
        database: The name of the database.
        login: The user's name.
        password: The user's password.
    """

    database: str

    def __init__(self) -> None:
        super().__init__()
        self.login = "pynet"
        self.password = "browser"

    def connect(self) -> Any:
        """A connection from this process (DB-API)."""
        raise NotImplementedError

    def make(self, command: list[str]) -> None:
        """Runs the program that makes the files of the database."""
        made = subprocess.run(
            command, cwd=self.directory, user=self.user, capture_output=True, text=True, check=False
        )
        if made.returncode != 0:
            msg = f"{Path(command[0]).name} failed:\n{made.stdout}{made.stderr}"
            raise ServerError(msg)

    def write(self, name: str, text: str) -> Path:
        """Makes a file that the server's user can read, in its directory."""
        path = self.directory / name
        path.write_text(text)
        if self.user is not None:
            shutil.chown(path, self.user)
        return path


class PostgresServer(LoginServer):
    """PostgreSQL with one superuser (SCRAM-SHA-256)."""

    database = "postgres"
    stop_signal = signal.SIGINT  # "fast shutdown": does not wait for clients to leave

    def __init__(self) -> None:
        super().__init__()
        # It refuses to run as root; Debian's package brings a user for it.
        self.user = "postgres" if os.geteuid() == 0 else None
        self._programs = Path(required(find_postgresql, "postgresql"))

    def prepare(self) -> None:
        password_file = self.write("password", self.password)
        options = ["--pgdata=data", "--auth=scram-sha-256", f"--username={self.login}", "--no-sync"]
        options += [f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C"]
        self.make([str(self._programs / "initdb"), *options])

    def command(self) -> list[str]:
        settings = [
            "fsync=off",
            f"listen_addresses={self.host}",
            f"port={self.port}",
            "unix_socket_directories=",
        ]
        options = [f"--{setting}" for setting in settings]
        return [str(self._programs / "postgres"), "-D", "data", *options]

    def answers(self) -> bool:
        try:
            self.connect().close()
        except (pg8000.dbapi.InterfaceError, pg8000.dbapi.DatabaseError):
            return False  # "the database system is starting up"
        return True

    def connect(self) -> Any:
        """A connection from this process (pg8000, DB-API)."""
        return pg8000.dbapi.connect(
            self.login,
            host=self.host,
            port=self.port,
            password=self.password,
            database=self.database,
            timeout=5,
        )


class MariaDbServer(LoginServer):
    """MariaDB with a user of everything (mysql_native_password, the default)."""

    database = "pynet"

    def __init__(self) -> None:
        super().__init__()
        # It refuses to run as root. Debian's package of the server alone brings no user for it.
        self.user = unprivileged_user() if os.geteuid() == 0 else None
        self._program = required(find_mariadb, "mariadb")

    def prepare(self) -> None:
        settings = [
            "[mariadbd]",
            f"datadir={self.directory / 'data'}",
            f"socket={self.directory / 'socket'}",
            f"bind-address={self.host}",
            f"port={self.port}",
            "skip-name-resolve",
            "skip-ssl",  # since 11.4 it makes itself a certificate, and PyMySQL uses TLS where it is offered
            # What lasts only as long as a test need neither be large nor reach the disk.
            "innodb-buffer-pool-size=8M",
            "innodb-log-file-size=4M",
            "innodb-flush-log-at-trx-commit=0",
        ]
        options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        settings_file = self.write("settings", "\n".join([*settings, ""]))
        self.make(["mariadb-install-db", f"--defaults-file={settings_file}", *options])
        self.write(
            "login.sql",
            f"create database {self.database};\n"
            f"create user '{self.login}'@'{self.host}' identified by '{self.password}';\n"
            f"grant all on *.* to '{self.login}'@'{self.host}';\n",
        )

    def command(self) -> list[str]:
        files = [
            f"--defaults-file={self.directory / 'settings'}",
            f"--init-file={self.directory / 'login.sql'}",
        ]
        return [self._program, *files]

    def answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.OperationalError:
            return False  # nobody listens yet, or the user is not there
        return True

    def connect(self) -> Any:
        """A connection from this process (PyMySQL, DB-API)."""
        return pymysql.connect(
            user=self.login,
            host=self.host,
            port=self.port,
            password=self.password,
            database=self.database,
            connect_timeout=5,
        )


def unprivileged_user() -> str:
    """Who runs MariaDB when we are root: its own user, or the one whom every system has for such cases."""
    try:
        return pwd.getpwnam("mysql").pw_name
    except KeyError:
        return "nobody"
