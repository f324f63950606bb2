REDIS = ("127.0.0.1", 6379)  # a Redis that the proxy's machine reaches

import micropip

await micropip.install("redis")

import redis

client = redis.Redis(*REDIS, decode_responses=True)
print("Redis", client.info("server")["redis_version"])

client.set("greeting", "hello from the browser", ex=60)
print("greeting:", client.get("greeting"))

with client.pipeline() as pipeline:
    for number in range(1000):
        pipeline.incrby("pynet:sum", number)
    pipeline.delete("pynet:sum")
    print("sum of 0 to 999:", pipeline.execute()[-2])
