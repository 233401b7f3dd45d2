// Makes one element like another by changing only what differs, so that focus, selection and scrolling stay.
// Elements with an id or a data-key are recognised where they moved to; others by their place.

const nameOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset?.key || "" : "");

const alike = (one, other) => one.nodeName === other.nodeName && nameOf(one) === nameOf(other);

function attributes(old, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) {
      old.setAttribute(name, value);
    }
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name)) {
      old.removeAttribute(name);
    }
  }
}

// What somebody types or chooses is theirs until they have left it.
const inUse = (node) => node === document.activeElement && /^(INPUT|SELECT)$/.test(node.nodeName);

function place(parent, node, before) {
  if (node.isConnected && parent.moveBefore) {
    parent.moveBefore(node, before); // keeps the focus, where the browser can
  } else {
    parent.insertBefore(node, before);
  }
}

function children(old, fresh) {
  const known = new Map();
  for (const child of old.children) {
    if (nameOf(child)) {
      known.set(nameOf(child), child);
    }
  }
  let next = old.firstChild;
  for (const wanted of fresh.childNodes) {
    const name = nameOf(wanted);
    let child = name ? known.get(name) : next;
    if (!child || !alike(child, wanted)) {
      old.insertBefore(document.importNode(wanted, true), next);
      continue;
    }
    if (child === next) {
      next = next.nextSibling;
    } else {
      place(old, child, next);
    }
    morph(child, wanted);
  }
  while (next) {
    const rest = next.nextSibling;
    next.remove();
    next = rest;
  }
}

export function morph(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) {
      old.data = fresh.data;
    }
  } else if (!inUse(old) && !old.isEqualNode(fresh)) {
    attributes(old, fresh);
    children(old, fresh);
    if (old.nodeName === "INPUT" && old.type === "search") {
      old.value = fresh.getAttribute("value") ?? "";
    } else if (old.nodeName === "SELECT") {
      const chosen = fresh.querySelector("option[selected]") ?? fresh.querySelector("option");
      old.value = chosen ? chosen.getAttribute("value") : "";
    }
  }
}
