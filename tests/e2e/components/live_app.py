"""Serves live_page.py and a stream that the test feeds by POST."""

import asyncio
import json
from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

listeners: set[asyncio.Queue] = set()


async def events(request: Request) -> StreamingResponse:
    queue: asyncio.Queue = asyncio.Queue()
    listeners.add(queue)

    async def stream():
        try:
            yield ": heartbeat\n\n"
            while True:
                yield f"data: {json.dumps(await queue.get())}\n\n"
        finally:
            listeners.discard(queue)

    return StreamingResponse(stream(), media_type="text/event-stream")


async def publish(request: Request) -> JSONResponse:
    for event in await request.json():
        for queue in listeners:
            queue.put_nowait(event)
    return JSONResponse({"listeners": len(listeners)})


app = st.App(
    Path(__file__).with_name("live_page.py"),
    routes=[Route("/api/events", events), Route("/api/publish", publish, methods=["POST"])],
)
