"""A service made with FastAPI, served by uvicorn; `port` tells where it listens, on the loopback interface."""

from __future__ import annotations

import socket
import threading
from typing import Any, Dict, List

import uvicorn
from conversation import serve_blocking
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
items: Dict[int, Any] = {}


class Item(BaseModel):
    name: str
    tags: List[str] = []


@app.post("/items/{number}")
async def put(number: int, item: Item) -> Dict[str, int]:
    items[number % 5000] = item
    return {"number": number, "count": len(items)}


@app.get("/items/{number}")
async def get(number: int) -> Any:
    return items.get(number % 5000)


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    threading.Thread(target=server.run, args=([listener],), daemon=True).start()
    serve_blocking({"port": lambda: {"port": listener.getsockname()[1]}})


if __name__ == "__main__":
    main()
