"""FastAPI and redis-py; served by uvicorn on uvloop and httptools."""

import os

from fastapi import FastAPI, HTTPException, Request, Response
from redis.asyncio import Redis

app = FastAPI()
redis = Redis.from_url(os.environ["REDIS_URL"])


@app.get("/kv/{key}")
async def read(key: str) -> Response:
    value = await redis.get(key)
    if value is None:
        raise HTTPException(404)
    return Response(value, media_type="application/octet-stream")


@app.put("/kv/{key}", status_code=204)
async def write(key: str, request: Request) -> None:
    await redis.set(key, await request.body())


@app.post("/counters/{name}")
async def increment(name: str) -> dict[str, str | int]:
    return {"name": name, "value": await redis.incr(name)}
