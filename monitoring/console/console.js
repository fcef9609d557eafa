// Renews the page every five seconds while somebody looks at it. The fragment is made and escaped by the server.
"use strict";

const EVERY_MS = 5000;

async function renew() {
  const hub = document.getElementById("hub");
  if (document.hidden || document.getSelection().type === "Range") return;
  try {
    const answer = await fetch(hub.dataset.part, { signal: AbortSignal.timeout(EVERY_MS * 2), cache: "no-store" });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("hub");
    if (!fresh) throw new Error("no page in the answer");
    const focused = document.activeElement?.getAttribute?.("href");
    hub.replaceWith(document.adoptNode(fresh));
    if (focused) document.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  } catch {
    const stale = hub.querySelector(".stale");
    if (stale) stale.hidden = false;
  }
}

async function keepRenewing() {
  await renew();
  setTimeout(keepRenewing, EVERY_MS);
}

setTimeout(keepRenewing, EVERY_MS);
document.addEventListener("visibilitychange", renew);
