"""Protocols of clients that others wrote: websockify, Wisp, and Emscripten's POSIX sockets."""
