# A conversation between two pages: meet.html gives it the proxy's address, a room, and a place to show it.

import asyncio

from page import address, next_line, room, show, tell

from pynet_browser.webrtc import ChannelClosed, meet


async def speak(channel):
    while True:
        line = await next_line()
        await channel.send(line)
        show(line, here=True)


tell("Waiting for the other page …")
async with await meet(room, proxy_url=address, timeout=None) as channel:
    tell("The other page is here.")
    speaking = asyncio.create_task(speak(channel))
    try:
        async for line in channel:
            show(line, here=False)
    except ChannelClosed:
        pass  # it was left, rather than closed
    speaking.cancel()
tell("The other page is gone.")
