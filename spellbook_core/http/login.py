"""The page that a browser without a session sees. It loads nothing: no script, no font, no picture from anywhere."""

from __future__ import annotations

from html import escape
from urllib.parse import urlsplit

_STYLE = """
:root{color-scheme:light dark;--bg:#f8f7fc;--card:#fff;--text:#1e1b2e;--dim:#5d5875;--line:#e2dff0;--main:#5b4bd6}
@media(prefers-color-scheme:dark){:root{--bg:#100e19;--card:#1a1828;--text:#eceaf6;--dim:#a6a0bf;--line:#35304a;--main:#9d8cff}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--bg);color:var(--text);
font:15px/1.55 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans KR",sans-serif}
main{width:min(27rem,92vw);background:var(--card);border:1px solid var(--line);border-radius:12px;padding:2rem;
box-shadow:0 8px 30px rgb(30 20 80/.08)}
h1{font-size:1.35rem;margin:0 0 .35rem}p{margin:.4rem 0;color:var(--dim)}
label{display:block;font-weight:600;margin:1.2rem 0 .35rem}
input{width:100%;padding:.6rem .75rem;font:inherit;color:inherit;background:var(--bg);border-radius:8px;
border:1px solid var(--line)}
input:focus-visible,button:focus-visible{outline:2px solid var(--main);outline-offset:2px}
button{margin-top:1rem;width:100%;padding:.65rem;font:inherit;font-weight:600;color:#fff;background:#5b4bd6;border:0;
border-radius:8px;cursor:pointer}
code{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:.92em;color:var(--text)}
.bad{color:#c02626;font-weight:600}@media(prefers-color-scheme:dark){.bad{color:#f87171}}
"""


def login_page(next_url: str, problem: str = "") -> str:
    """Return the HTML page that asks for the token.

    Args:
        next_url: Where to go afterwards; anything but a path of ours becomes `/`.
        problem: One line on why the last try failed; plain text.
    """
    said = f'<p class="bad" role="alert">{escape(problem)}</p>' if problem else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · Spellbook</title><style>{_STYLE}</style></head><body><main>
<h1>Spellbook</h1>
<p>This page can run code on the machine it serves, so it opens with a token only.</p>{said}
<form method="post" action="/login">
<input type="hidden" name="next" value="{escape(safe_next(next_url))}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button type="submit">Open</button>
</form>
<p style="margin-top:1.2rem">The address with its token stands in the terminal where Spellbook was started;
<code>spellbook token</code> prints it again.</p>
</main></body></html>"""


def safe_next(url: str) -> str:
    r"""Return `url` when it is a path of this server (`/editor?pipeline=x`), else `/`.

    Browsers read `\` as `/`, skip control characters and take `//host` as another server, so all of these are refused.
    """
    if not url.startswith("/") or url.startswith("//") or "\\" in url or any(ord(char) < 33 for char in url):
        return "/"
    parts = urlsplit(url)
    return url if not parts.scheme and not parts.netloc else "/"
