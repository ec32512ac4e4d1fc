// Sends a draft when the person turns away from an editor, so that it arrives before what the person does next.
//
// Streamlit puts everything that widgets report within one task into one message, and reruns only the fragment that
// reported first: a click reported together with a draft would not rerun the page. A click that comes so quickly (touch,
// assistive technology, tests) is held back until the draft is on its way, then happens as it would have.

let isMessageForming = false;
const heldBack = new WeakSet();

// Call right after reporting to Streamlit: its message is sent in the next task, and this note ends after it.
export function noteReport() {
  isMessageForming = true;
  setTimeout(() => {
    isMessageForming = false;
  }, 0);
}

document.addEventListener(
  "click",
  (event) => {
    if (!isMessageForming || heldBack.has(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const [target] = event.composedPath();
    const again = new event.constructor(event.type, event);
    heldBack.add(again);
    setTimeout(() => target.dispatchEvent(again), 0);
  },
  { capture: true },
);

export function watchLeaving(root, flush) {
  const watch = new AbortController();
  const options = { signal: watch.signal, capture: true, passive: true };
  const flushWhenOutside = (event) => {
    if (!event.composedPath().includes(root)) flush();
  };
  document.addEventListener("pointerdown", flushWhenOutside, options);
  root.addEventListener("focusout", flush, options);
  return watch;
}
