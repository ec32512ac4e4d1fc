// Listens to the server's events and hands them to the script in batches: at most five a second, each repeated until
// the server has acknowledged it, because Streamlit keeps only the newest unprocessed message of a component.

import { makeNonce } from "./nonce.js";
import { quietForMs } from "./quiet.js";

const PAUSE_MS = 200;
const UNACKNOWLEDGED_MS = 3000; // after this a batch counts as lost on the way and is sent again
const RETRY_MS = [1000, 2000, 5000, 10000, 30000];
const MOST_WAITING = 500; // beyond this the oldest are dropped and the script is told to read everything anew

const listeners = new WeakMap();

export default function (mounted) {
  const [data] = mounted.data; // in a list: see renderer() in assets.py
  const component = { ...mounted, data };
  const { parentElement } = component;
  let listener = listeners.get(parentElement);
  if (!listener) {
    listener = new Listener(hide(parentElement));
    listeners.set(parentElement, listener);
  }
  listener.update(component);
  return () => {
    listeners.delete(parentElement);
    listener.close();
  };
}

// The element must take no room. Its wrapper belongs to Streamlit, which may use it for another element afterwards:
// so the change can be taken back.
function hide(parentElement) {
  const host = parentElement.host ?? parentElement;
  const wrapper = host.closest?.('[data-testid="stElementContainer"]');
  wrapper?.style.setProperty("display", "none");
  return () => wrapper?.style.removeProperty("display");
}

class Listener {
  constructor(unhide) {
    this.unhide = unhide;
    this.nonce = makeNonce();
    this.seq = 0;
    this.waiting = new Map(); // identity of an event -> {seq, event}, oldest first
    this.sentSeq = 0;
    this.acknowledgedSeq = 0;
    this.nextSendAt = 0;
    this.failures = 0;
    this.onVisibility = () => (document.hidden ? this.disconnect() : this.connect());
    document.addEventListener("visibilitychange", this.onVisibility);
  }

  update({ data, setTriggerValue }) {
    this.setTriggerValue = setTriggerValue;
    this.acknowledge(data.acknowledged?.[this.nonce] ?? 0);
    const url = new URL(data.path, window.location.origin);
    for (const [name, value] of Object.entries(data.query)) url.searchParams.set(name, value);
    if (url.origin !== window.location.origin) throw new Error("an event stream must come from our own server");
    if (url.href === this.url) return;
    this.url = url.href;
    this.disconnect();
    if (!document.hidden) this.connect();
  }

  connect() {
    if (this.source || this.isClosed) return;
    clearTimeout(this.retryTimer);
    const source = new EventSource(this.url);
    this.source = source;
    source.onopen = () => {
      this.failures = 0;
      this.add({ kind: "open" });
    };
    source.onmessage = (message) => {
      try {
        this.add(JSON.parse(message.data));
      } catch {
        this.add({ kind: "open" }); // unreadable: read the truth anew
      }
    };
    source.onerror = () => {
      // The browser reconnects by itself after a break, but gives up for good when the answer was an error.
      if (source.readyState !== EventSource.CLOSED || source !== this.source) return;
      this.source = null;
      this.retryTimer = setTimeout(() => {
        if (!document.hidden) this.connect();
      }, RETRY_MS[Math.min(this.failures++, RETRY_MS.length - 1)]);
    };
  }

  // Hidden tabs do not listen: browsers allow six connections to a server, and a tab must not take one in vain.
  disconnect() {
    clearTimeout(this.retryTimer);
    this.source?.close();
    this.source = null;
  }

  add(event) {
    if (!event || typeof event !== "object" || Array.isArray(event)) return;
    const { status, ...rest } = event;
    const identity = JSON.stringify(rest);
    this.waiting.delete(identity);
    this.waiting.set(identity, { seq: ++this.seq, event });
    if (this.waiting.size > MOST_WAITING) {
      this.waiting.clear();
      this.waiting.set("overflow", { seq: ++this.seq, event: { kind: "open" } });
    }
    this.schedule();
  }

  acknowledge(seq) {
    if (seq <= this.acknowledgedSeq) return;
    this.acknowledgedSeq = seq;
    for (const [identity, entry] of this.waiting) if (entry.seq <= seq) this.waiting.delete(identity);
    this.schedule();
  }

  schedule() {
    clearTimeout(this.sendTimer);
    if (!this.waiting.size || this.isClosed) return;
    const now = Date.now();
    const isOnTheWay = this.acknowledgedSeq < this.sentSeq;
    const at = isOnTheWay ? this.sentAt + UNACKNOWLEDGED_MS : this.nextSendAt;
    this.sendTimer = setTimeout(() => this.send(), Math.max(0, at - now));
  }

  send() {
    const quiet = quietForMs();
    if (quiet) {
      clearTimeout(this.sendTimer);
      this.sendTimer = setTimeout(() => this.send(), quiet);
      return;
    }
    this.sentAt = Date.now();
    this.nextSendAt = this.sentAt + PAUSE_MS;
    this.sentSeq = this.seq;
    this.setTriggerValue("batch", { nonce: this.nonce, events: [...this.waiting.values()] });
    this.schedule();
  }

  close() {
    this.isClosed = true;
    this.unhide();
    clearTimeout(this.sendTimer);
    this.disconnect();
    document.removeEventListener("visibilitychange", this.onVisibility);
  }
}
