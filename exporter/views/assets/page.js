// Fetches the page again every second and swaps the sections that changed. Everything also works without it.
"use strict";

const EVERY_MS = 1000;
const GIVE_UP_MS = 4000;
const clock = document.getElementById("clock");
let lastSeen = clock.textContent;

// Swapping under a reader's selection would take it away.
function selecting() {
  const selection = window.getSelection();
  return selection !== null && !selection.isCollapsed;
}

function swap(fresh) {
  for (const section of document.querySelectorAll("main section[id]")) {
    const other = fresh.getElementById(section.id);
    if (other !== null && other.outerHTML !== section.outerHTML) {
      section.replaceWith(document.adoptNode(other));
    }
  }
  document.title = fresh.title;
  lastSeen = fresh.getElementById("clock").textContent;
}

async function refresh() {
  try {
    const reply = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(GIVE_UP_MS) });
    if (!reply.ok) {
      throw new Error(`HTTP ${reply.status}`);
    }
    const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
    if (!selecting()) {
      swap(fresh);
    }
    document.body.className = "watching";
    clock.textContent = lastSeen;
  } catch {
    document.body.className = "lost";
    clock.textContent = `exporter unreachable, last seen ${lastSeen}`;
  }
}

async function watch() {
  for (;;) {
    await new Promise((done) => setTimeout(done, EVERY_MS));
    if (!document.hidden) {
      await refresh();
    }
  }
}

document.body.className = "watching";
watch();
