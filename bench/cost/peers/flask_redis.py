"""Flask and redis-py; served by gunicorn with threads."""

import os
from typing import Any

from flask import Flask, Response, abort, request
from redis import Redis

app = Flask(__name__)
redis = Redis.from_url(os.environ["REDIS_URL"])


@app.get("/kv/<key>")
def read(key: str) -> Response:
    value = redis.get(key)
    if value is None:
        abort(404)
    return Response(value, mimetype="application/octet-stream")


@app.put("/kv/<key>")
def write(key: str) -> tuple[str, int]:
    redis.set(key, request.get_data())
    return "", 204


@app.post("/counters/<name>")
def increment(name: str) -> dict[str, Any]:
    return {"name": name, "value": redis.incr(name)}
