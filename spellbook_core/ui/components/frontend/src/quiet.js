// When nothing may be reported to Streamlit: the person is on the way to another page, or chooses in a menu.
//
// A report that reaches the server behind a page change carries the old page's name: merged with the waiting change it
// takes the person back, and after it it blanks the new page ("Bad delta path"). Streamlit stops its own timers on a
// page change for that reason, but not what components report. So components ask here first.

const LEAVING_MS = 3000; // a page that is still there after this was not left
const PRESS_MS = 250; // a button may lead to another page, too: until then the app shows that it is running
const MENU_MS = 20000; // an open menu closes when the list around it changes; one that was forgotten does not hold it up
const ASK_AGAIN_MS = 50;

let leavingUntil = 0;
let pressedUntil = 0;
let menuSince = 0;

function leave() {
  leavingUntil = Date.now() + LEAVING_MS;
}

document.addEventListener(
  "click",
  (event) => {
    const link = event.composedPath().find((node) => node instanceof HTMLAnchorElement && node.href);
    const opensElsewhere = event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey;
    if (!link || opensElsewhere || (link.target && link.target !== "_self")) return;
    if (new URL(link.href).origin === window.location.origin && !link.hasAttribute("download")) leave();
  },
  { capture: true },
);
window.addEventListener("popstate", leave, { capture: true });
for (const name of ["pointerdown", "pointerup", "keydown"]) {
  document.addEventListener(name, () => (pressedUntil = Date.now() + PRESS_MS), { capture: true, passive: true });
}

function isChoosing() {
  if (!document.querySelector('[data-testid="stMenuButtonBody"]')) menuSince = 0;
  else menuSince ||= Date.now();
  return menuSince > 0 && Date.now() < menuSince + MENU_MS;
}

export function isLeaving() {
  return Date.now() < leavingUntil;
}

// How long what is not urgent has to wait, in milliseconds; 0 when it may be reported now.
export function quietForMs() {
  const wait = Math.max(leavingUntil, pressedUntil) - Date.now();
  if (wait > 0) return wait;
  if (isChoosing()) return ASK_AGAIN_MS;
  const app = document.querySelector('[data-testid="stApp"]');
  return app?.dataset.testScriptState === "running" ? ASK_AGAIN_MS : 0;
}
