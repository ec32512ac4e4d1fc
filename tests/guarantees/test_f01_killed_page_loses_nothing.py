"""F1: kill -9 of the page's process while nobody waits for it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from spellbook_core.model.naming import BlockUuid, PipelineUuid, ProjectName
from spellbook_core.services import blocks
from spellbook_core.services.wiring import open_context
from tests.guarantees.conftest import end_page, start_page

SPELLBOOK = Path(sys.executable).with_name("spellbook")
AT = (ProjectName("demo"), PipelineUuid("plain"), BlockUuid("load_plain"))


@pytest.mark.guarantee("F1")
def test_killed_page_is_followed_by_one_with_all_that_was_saved(serve):
    page = serve()
    cookies = page.sign_in()
    context = open_context(page.workspace)
    before = blocks.source(context, *AT)
    blocks.save_source(context, *AT, before.text + "# edited\n", expected_hash=before.content_hash)
    page.process.send_signal(signal.SIGKILL)
    page.process.wait(30)
    again = start_page(page.workspace)
    try:
        assert again.token == page.token
        assert httpx.get(f"{again.address}/", cookies=cookies).status_code == 200, "who was signed in still is"
        assert httpx.get(f"{again.address}/api/runs", headers=again.bearer).json()["total"] == 0
        assert blocks.source(context, *AT).text == before.text + "# edited\n"
        valid = subprocess.run([SPELLBOOK, "validate", page.workspace / "projects/demo"], check=False, timeout=60)
        assert valid.returncode == 0
        assert not page.canary.exists(), "none of it ran the project's code"
    finally:
        context.close()
        end_page(again)
