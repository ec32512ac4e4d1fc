// Messages to the server, repeated until it has acknowledged them. Streamlit keeps only the newest unprocessed message
// of a component, so each one carries all that are still open; the server counts each (nonce, seq) once.
import { noteReport } from "./leaving.js";
import { makeNonce } from "./nonce.js";
import { isLeaving } from "./quiet.js";

const DRAFT_PAUSE_MS = 800;
const RESEND_DRAFT_MS = [3000, 6000, 12000, 30000];
const ACT_LIFE_MS = 10000; // an act older than this is not repeated: nobody expects it to happen any more

export class Outbox {
  // `read` returns the present text and the rev it belongs to.
  constructor(id, serverText, read) {
    this.storageKey = `spellbook:unsaved:${window.location.pathname}:${id}`;
    this.read = read;
    this.nonce = makeNonce();
    this.seq = 0;
    this.open = [];
    this.sentText = read().text; // what the server has, or will have when the open messages arrive
    this.knownText = serverText; // what the server surely has
    this.attempts = 0;
  }

  get isDirty() {
    return this.read().text !== this.sentText;
  }

  touch() {
    clearTimeout(this.draftTimer);
    this.draftTimer = setTimeout(() => this.flush(), DRAFT_PAUSE_MS);
  }

  flush() {
    clearTimeout(this.draftTimer);
    if (this.isDirty) this.act("draft");
  }

  act(name) {
    clearTimeout(this.draftTimer);
    const { text, rev } = this.read();
    this.open = this.open.filter((message) => message.name !== "draft");
    this.open.push({ name, text, rev, seq: ++this.seq, nonce: this.nonce, at: Date.now() });
    this.sentText = text;
    this.attempts = 0; // only repeats wait longer and longer, not what the person does next
    this.send();
  }

  send() {
    clearTimeout(this.resendTimer);
    const now = Date.now();
    this.open = this.open.filter((message) => message.name === "draft" || now - message.at < ACT_LIFE_MS);
    if (!this.open.length) return;
    if (isLeaving()) {
      this.resendTimer = setTimeout(() => this.send(), RESEND_DRAFT_MS[0]);
      return;
    }
    this.setTriggerValue("messages", this.open.map(({ at, ...message }) => message));
    noteReport();
    const wait = RESEND_DRAFT_MS[Math.min(this.attempts++, RESEND_DRAFT_MS.length - 1)];
    this.resendTimer = setTimeout(() => this.send(), wait);
  }

  acknowledge(seq) {
    const { text, rev } = this.read();
    for (const message of this.open) if (message.seq <= seq && message.rev === rev) this.knownText = message.text;
    const stillOpen = this.open.filter((message) => message.seq > seq);
    if (stillOpen.length === this.open.length) return;
    this.open = stillOpen;
    this.attempts = 0;
    if (!stillOpen.length) clearTimeout(this.resendTimer);
    if (text === this.knownText) this.forget();
  }

  // The server's text has replaced ours.
  replaced(serverText) {
    clearTimeout(this.draftTimer);
    this.sentText = this.read().text;
    this.knownText = serverText;
    this.forget();
  }

  // The page goes away, perhaps before a message gets out: keep what the server may not have for the next visit.
  leave() {
    this.flush();
    const { text } = this.read();
    try {
      if (text === this.knownText) this.forget();
      else sessionStorage.setItem(this.storageKey, JSON.stringify({ base: this.knownText, text }));
    } catch {
      // storage is full or switched off; the message just sent is all there is
    }
  }

  // The text that an earlier visit could not deliver, if the server still has what that visit started from.
  recover(serverText) {
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.storageKey) ?? "null");
      this.forget();
      return kept && kept.base === serverText && kept.text !== serverText ? kept.text : null;
    } catch {
      return null;
    }
  }

  forget() {
    try {
      sessionStorage.removeItem(this.storageKey);
    } catch {
      // storage is switched off: there is nothing to forget
    }
  }

  close() {
    this.leave();
    clearTimeout(this.draftTimer);
    clearTimeout(this.resendTimer);
  }
}
