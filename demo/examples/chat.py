ROOM = "/tmp/chat"  # a path in this page: no proxy takes part
GUESTS = ["Ada", "Grace", "Hedy"]

import asyncio

inside = []  # the server's ends of all connections
everybody_is_here = asyncio.Barrier(len(GUESTS))


async def host(reader, writer):
    """What one says, all hear."""
    writer.write(b"welcome\n")
    inside.append(writer)
    async for line in reader:
        for guest in inside:
            guest.write(line)
    inside.remove(writer)
    writer.close()


async def visit(name, turn):
    reader, writer = await asyncio.open_unix_connection(ROOM)
    await reader.readline()
    await everybody_is_here.wait()
    await asyncio.sleep(turn / 2)
    writer.write(f"hello from {name}\n".encode())
    for _ in GUESTS:
        line = await reader.readline()
        print(f"{name} hears: {line.decode()}", end="")
    writer.close()


room = await asyncio.start_unix_server(host, ROOM)
async with room, asyncio.TaskGroup() as guests:
    for turn, name in enumerate(GUESTS):
        guests.create_task(visit(name, turn))
print("the room is closed")
