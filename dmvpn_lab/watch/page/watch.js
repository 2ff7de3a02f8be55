// Shows what the server tells: a picture, tables, events. It knows nothing of DMVPN.
"use strict";

const KEPT = 300; // events on the page
const SOON_S = 30; // what ends within so long is told in another colour
const byId = (id) => document.getElementById(id);
const two = (number) => String(number).padStart(2, "0");

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

// --- the picture: what has the same id stays the same element, so that changes are seen to happen ---

function drawPicture(text) {
  const wanted = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  const shown = byId("picture");
  if (shown) become(shown, wanted);
  else byId("network").replaceChildren(document.importNode(wanted, true));
}

function become(shown, wanted) {
  for (const { name } of [...shown.attributes]) if (!wanted.hasAttribute(name)) shown.removeAttribute(name);
  for (const { name, value } of wanted.attributes) {
    if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  }
  if (!wanted.children.length) {
    if (shown.textContent !== wanted.textContent) {
      shown.textContent = wanted.textContent;
      mark(shown, "changed");
    }
    return;
  }
  const before = new Map([...shown.children].filter((each) => each.id).map((each) => [each.id, each]));
  shown.replaceChildren(...[...wanted.children].map((each) => {
    const same = before.get(each.id);
    if (same) become(same, each);
    return same || mark(document.importNode(each, true), "new");
  }));
}

function mark(node, kind) {
  node.classList.add(kind);
  node.addEventListener("animationend", () => node.classList.remove(kind), { once: true });
  return node;
}

// --- tables ---

function drawTables(tables) {
  byId("tables").replaceChildren(...tables.filter((each) => each.rows.length).map((each) => {
    const table = element("table");
    table.id = `table-${each.name}`;
    const head = table.createTHead().insertRow();
    for (const { title, right } of each.columns) head.append(element("th", title, right ? "right" : ""));
    const body = table.createTBody();
    for (const row of each.rows) {
      const line = body.insertRow();
      row.forEach((cell, i) => line.append(drawCell(cell, each.columns[i].right)));
    }
    return table;
  }));
  countDown();
}

function drawCell(cell, right) {
  const made = element("td", cell.text, [cell.tone, right ? "right" : ""].join(" ").trim());
  if ("ends" in cell) {
    made.textContent = "never";
    if (cell.ends !== null) made.dataset.ends = cell.ends;
  }
  return made;
}

function countDown() {
  const now = Date.now() / 1000;
  byId("clock").textContent = new Date().toTimeString().slice(0, 8);
  for (const cell of document.querySelectorAll("[data-ends]")) {
    const left = Math.max(0, Math.floor(Number(cell.dataset.ends) - now));
    cell.textContent = `${two(Math.floor(left / 3600))}:${two(Math.floor(left / 60) % 60)}:${two(left % 60)}`;
    cell.classList.toggle("soon", left < SOON_S);
  }
}

// --- events ---

function drawEvents(rows) {
  const list = byId("events");
  list.prepend(...rows.map((row) => {
    const line = element("li");
    row.forEach((cell, i) => line.append(element(i === 2 ? "b" : "span", cell.text, cell.tone), " "));
    return line;
  }).reverse());
  while (list.children.length > KEPT) list.lastChild.remove();
}

// --- what comes ---

function drawFrame(frame) {
  byId("lab").textContent = frame.lab;
  document.title = `${frame.lab} - dmvpn-lab watch`;
  byId("summary").replaceChildren(...frame.summary.map((each) => element("span", each.text, each.tone)));
  drawPicture(frame.picture);
  drawTables(frame.tables);
}

function tell(words, lost) {
  byId("line").textContent = words;
  byId("line").className = lost ? "lost" : "";
}

const source = new EventSource("/events");
source.addEventListener("begin", () => { byId("events").replaceChildren(); tell("live", false); });
source.addEventListener("frame", (event) => drawFrame(JSON.parse(event.data)));
source.addEventListener("told", (event) => drawEvents(JSON.parse(event.data)));
source.addEventListener("ended", (event) => { source.close(); tell(JSON.parse(event.data), true); });
source.onerror = () => tell("connection lost, trying again", true);
setInterval(countDown, 1000);
