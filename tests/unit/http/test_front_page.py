"""Streamlit's index page is told where its server is; nothing else is touched."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from spellbook_core.http.front_page import FrontPage

INDEX = "<html><head><title>Streamlit</title><script>one()</script><script>two()</script></head></html>"
OTHER = "<html><head><title>Component</title><script>one()</script></head></html>"


async def index(request):
    return HTMLResponse(INDEX, headers={"etag": '"a"'})


async def other(request):
    return HTMLResponse(OTHER)


async def data(request):
    return JSONResponse({"title": "<title>Streamlit</title>"})


APP = FrontPage(Starlette(routes=[Route("/editor", index), Route("/other", other), Route("/data", data)]))


def get(path: str, accept: str = "text/html") -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://127.0.0.1") as client:
            return await client.get(path, headers={"accept": accept})

    return asyncio.run(ask())


def test_index_names_the_server_before_its_first_script():
    response = get("/editor")
    assert response.text.index("window.__streamlit") < response.text.index("one()")
    assert response.text.count("window.__streamlit") == 1
    assert "<title>Spellbook</title>" in response.text
    assert int(response.headers["content-length"]) == len(response.content)
    assert "etag" not in response.headers


@pytest.mark.parametrize(("path", "accept"), [("/other", "text/html"), ("/data", "text/html"), ("/editor", "*/*")])
def test_other_answers_pass_unchanged(path, accept):
    assert "window.__streamlit" not in get(path, accept).text
