"""Another implementation of WebRTC in a room of the proxy: aiortc, which is no browser."""

from __future__ import annotations

import asyncio
import json

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp
from websockets.asyncio.client import ClientConnection, connect

__all__ = ["echo_one"]


def echo_one(url: str) -> str | bytes:
    """Wait in a room for somebody, send his first message back, and return it."""
    return asyncio.run(asyncio.wait_for(_echo_one(url), 20))


async def _echo_one(url: str) -> str | bytes:
    connection = RTCPeerConnection()
    channel = connection.createDataChannel("", negotiated=True, id=0)
    heard: asyncio.Future[str | bytes] = asyncio.get_running_loop().create_future()
    closed = asyncio.Event()

    @channel.on("message")
    def echo(message: str | bytes) -> None:
        channel.send(message)
        heard.set_result(message)

    channel.on("close", closed.set)
    async with connect(url) as room:
        following = asyncio.create_task(_follow(room, connection))
        message = await heard
        following.cancel()
    await closed.wait()
    await connection.close()
    return message


async def _follow(room: ClientConnection, connection: RTCPeerConnection) -> None:
    """Do in the room as docs/webrtc.md says."""

    async def describe(description: RTCSessionDescription) -> None:
        await connection.setLocalDescription(description)
        local = connection.localDescription
        await room.send(json.dumps({"type": local.type, "sdp": local.sdp}))

    async for event in room:
        word, _, said = str(event).partition(" ")
        if word == "joined":
            await describe(await connection.createOffer())
        elif word == "message":
            told = json.loads(said)
            if "candidate" in told:
                candidate = candidate_from_sdp(told["candidate"].removeprefix("candidate:"))
                candidate.sdpMid = told["sdpMid"]
                await connection.addIceCandidate(candidate)
                continue
            await connection.setRemoteDescription(RTCSessionDescription(told["sdp"], told["type"]))
            if told["type"] == "offer":
                await describe(await connection.createAnswer())
