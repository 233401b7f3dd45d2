// Fetches the page again every second and changes what differs. Everything also works without it.
// The state of the view is its URL, with the script as without: links and the form lead to other URLs.
import { morph } from "./morph.js";

const EVERY_MS = 1000;
const GIVE_UP_MS = 4000;
const TYPING_MS = 250;
let turn = 0;

// Without the user and password that the address may hold: fetch refuses those, and the browser knows them anyway.
const here = () => location.origin + location.pathname + location.search;

const paused = () => new URLSearchParams(location.search).get("pause") === "1";

// Changing text under a reader's selection would take it away.
function selecting() {
  const selection = window.getSelection();
  return selection !== null && !selection.isCollapsed;
}

function show(fresh) {
  document.title = fresh.title;
  morph(document.documentElement.querySelector("body"), fresh.body);
  const theme = fresh.documentElement.dataset.theme;
  if (theme) {
    document.documentElement.dataset.theme = theme;
  } else {
    delete document.documentElement.dataset.theme;
  }
}

// A pause keeps what is seen, also while the buttons change.
function showButtons(fresh) {
  for (const id of ["pause", "theme", "state"]) {
    morph(document.getElementById(id), fresh.getElementById(id));
  }
}

async function refresh(apply = show) {
  const mine = ++turn;
  try {
    const reply = await fetch(here(), { cache: "no-store", signal: AbortSignal.timeout(GIVE_UP_MS) });
    if (!reply.ok) {
      throw new Error(`HTTP ${reply.status}`);
    }
    const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
    if (mine === turn) {
      fresh.body.className = paused() ? "paused" : "watching";
      document.body.className = fresh.body.className;
      apply(fresh);
    }
  } catch {
    if (mine === turn) {
      document.body.className = "lost";
      document.getElementById("state").textContent = "exporter unreachable, last seen then";
    }
  }
}

function go(url, apply) {
  history.pushState(null, "", url);
  return refresh(apply);
}

// Where the keyboard goes on: in the details that were opened, and then at the row that led there.
function follow(link) {
  const before = new URLSearchParams(location.search);
  const row = link.closest("tr[data-key]");
  const apply = link.id === "pause" && !paused() ? showButtons : show;
  go(link.getAttribute("href"), (fresh) => {
    apply(fresh);
    if (link.id === "close") {
      const name = `${before.get("at")} ${before.get("key")}`;
      const rows = [...document.querySelectorAll("#hotkeys tr")];
      rows.find((one) => one.dataset.key === name)?.querySelector("a")?.focus();
    } else if (row) {
      document.getElementById("close")?.focus();
    }
  });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='?']");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
    event.preventDefault();
    follow(link);
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !/^(INPUT|SELECT)$/.test(event.target.nodeName)) {
    document.getElementById("close")?.click();
  }
});

function filtered(form) {
  const said = [...new FormData(form)].filter(([name, value]) => value !== "" && !(name === "limit" && value === "25"));
  return `?${new URLSearchParams(said)}`;
}

let typing;
document.addEventListener("input", (event) => {
  const form = event.target.closest("#filters");
  if (form) {
    clearTimeout(typing);
    const wait = event.target.type === "search" ? TYPING_MS : 0;
    typing = setTimeout(() => go(filtered(form)), wait);
  }
});
document.addEventListener("submit", (event) => {
  event.preventDefault();
  go(filtered(event.target));
});
window.addEventListener("popstate", () => refresh());

async function watch() {
  for (;;) {
    await new Promise((done) => setTimeout(done, EVERY_MS));
    if (!document.hidden && !paused() && !selecting()) {
      await refresh();
    }
  }
}

document.body.className = paused() ? "paused" : "watching";
watch();
