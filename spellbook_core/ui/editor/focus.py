"""Bring a card into view, and the cursor into its editor."""

from __future__ import annotations

import json

import streamlit as st

from spellbook_core.ui.editor import keys
from spellbook_core.ui.editor.session import EditorSession

_SCRIPT = """<script>
/* %(number)d */
(() => {
  const started = Date.now();
  let isTaken = false;  // whoever clicks or types meanwhile has chosen another place
  const take = () => { isTaken = true; };
  for (const act of ['pointerdown', 'keydown', 'wheel', 'touchmove'])
    addEventListener(act, take, { once: true, capture: true, passive: true });
  const cardNow = () => document.querySelector('.st-key-' + %(card)s);
  const seek = () => {
    const card = cardNow();
    if (isTaken) return;
    if (!card) { if (Date.now() - started < 15000) setTimeout(seek, 60); return; }
    card.scrollIntoView({ block: 'start', behavior: 'smooth' });
    if (%(focus)s) focusEditor();
    const found = Date.now();
    let top = null;
    const stay = () => {  // this card and those above it grow and shrink as their editors and tables come
      const now = isTaken ? null : cardNow()?.getBoundingClientRect().top;
      if (now == null || Date.now() - found > 5000) return;
      if (now === top && (now > 160 || now < 60)) cardNow().scrollIntoView({ block: 'start', behavior: 'smooth' });
      top = now;
      setTimeout(stay, 250);
    };
    stay();
  };
  const focusEditor = () => {
    const host = document.querySelector('.st-key-' + %(editor)s);
    const find = (root) => {
      const hit = root.querySelector('.cm-content');
      if (hit) return hit;
      for (const el of root.querySelectorAll('*')) {
        const inner = el.shadowRoot && find(el.shadowRoot);
        if (inner) return inner;
      }
      return null;
    };
    const content = host && find(host);
    if (isTaken) return;
    if (content) content.focus({ preventScroll: true });
    else if (Date.now() - started < 15000) setTimeout(focusEditor, 60);
  };
  seek();
})();
</script>"""


def move(session: EditorSession) -> None:
    """Scroll to the card that a click asked for, once. The script's only variables are keys made of `[A-Za-z0-9_]`."""
    target = session.scroll_to
    if target is None:
        return
    values = {
        "number": session.moves,
        "card": json.dumps(keys.card(target)),
        "editor": json.dumps(keys.widget("editor", target)),
        "focus": json.dumps(session.focus),
    }
    with st.container(key="ed_focus"):
        st.html(_SCRIPT % values, unsafe_allow_javascript=True)
    session.scroll_to = None  # only now: a request for the whole page may have ended this drawing before
