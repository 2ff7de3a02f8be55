// A learner's page: the workshop, its tasks and hints, and a terminal for each node.
import { $, ask, clock, follow, make, say } from "/page/common.js";
import { open } from "/page/terminal.js";

const terminals = new Map(); // name -> { screen, view }
let shown = null;
let lab = null; // the workshop's name
let wasBusy = false;

function words(text) {
  // The few forms of Markdown that the workshops use; everything is set as text.
  const article = document.createDocumentFragment();
  for (const block of text.trim().split(/\n{2,}/)) {
    const heading = block.match(/^#+ (.*)$/);
    const items = block.split("\n").filter((row) => /^(\d+\.|-) /.test(row));
    if (heading) article.append(inline(make("h2"), heading[1]));
    else if (/^ {4}/.test(block)) article.append(make("pre", block.replace(/^ {4}/gm, "")));
    else if (items.length && /^(\d+\.|-) /.test(block)) {
      const list = make(/^\d/.test(block) ? "ol" : "ul");
      for (const item of block.split(/\n(?=\d+\. |- )/)) list.append(inline(make("li"), item.replace(/^(\d+\.|-) /, "")));
      article.append(list);
    } else article.append(inline(make("p"), block));
  }
  return article;
}

function inline(element, text) {
  for (const part of text.split(/(`[^`]+`|\*\*[^*]+\*\*)/)) {
    if (part.startsWith("`")) element.append(make("code", part.slice(1, -1)));
    else if (part.startsWith("**")) element.append(make("b", part.slice(2, -2)));
    else element.append(part);
  }
  return element;
}

function draw(state) {
  const { workshop } = state;
  const busy = state.doing !== null;
  $("who").textContent = state.learner;
  $("doing").textContent = busy ? `${state.doing} …` : "";
  $("watched").textContent = state.watched.join(", ");
  for (const option of $("workshops").options) {
    const how = state.states[option.value];
    option.textContent = option.dataset.title + (how === "passed" ? " ✓" : how === "started" ? " …" : "");
  }
  $("start").disabled = $("workshops").disabled = busy;
  for (const id of ["reset", "check", "hint", "apply"]) $(id).disabled = busy || !workshop;
  $("stop").disabled = !state.running;
  $("log").textContent = state.log.join("\n");
  if (workshop && workshop.name !== lab) {
    $("words").replaceChildren(words(workshop.text));
    $("workshops").value = workshop.name;
  }
  if (workshop && (workshop.name !== lab || (wasBusy && !busy))) readTopology();
  wasBusy = busy;
  lab = workshop ? workshop.name : null;
  drawTasks(state);
  $("hints").replaceChildren(...(workshop ? workshop.hints.map((hint) => make("li", hint)) : []));
  if (workshop) $("hint").disabled ||= workshop.hints.length === workshop.all_hints;
  drawTabs(state.terminals);
}

function drawTasks({ workshop, seen, checked_at: at }) {
  const tasks = workshop ? workshop.tasks : [];
  $("tasks").replaceChildren(...tasks.map((task, number) => {
    const item = make("li", task);
    const look = seen[number];
    if (look) {
      item.className = look.done ? "done" : "open";
      item.append(make("small", look.observed));
    }
    return item;
  }));
  const all = seen.length && seen.every((task) => task.done);
  $("checked").textContent = at ? `${all ? "passed" : "not yet"}, ${clock(at)}` : "";
}

function drawTabs(names) {
  for (const [name, { screen, view }] of terminals) {
    if (!names.includes(name)) {
      view.close();
      screen.remove();
      terminals.delete(name);
      if (shown === name) shown = null;
    }
  }
  $("tabs").replaceChildren(...names.map((name) => {
    const tab = make("button", name);
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-selected", String(name === shown));
    tab.addEventListener("click", () => choose(name));
    return tab;
  }));
  $("how").hidden = names.length === 0;
}

function choose(name) {
  if (!terminals.has(name)) {
    const screen = make("div", "", "screen");
    $("screens").append(screen);
    const entry = { screen };
    entry.view = open(screen, `/terminal/${name}`, { ended: () => forget(name, entry) });
    terminals.set(name, entry);
  }
  shown = name;
  for (const [each, { screen }] of terminals) screen.hidden = each !== name;
  for (const tab of $("tabs").children) tab.setAttribute("aria-selected", String(tab.textContent === name));
  terminals.get(name).view.focus();
}

function forget(name, entry) {
  // Its words stay to be read; choosing it again opens a new one.
  if (terminals.get(name) !== entry) return;
  terminals.delete(name);
  entry.screen.classList.add("ended");
  for (const old of document.querySelectorAll(".screen.ended")) if (old !== entry.screen || shown !== name) old.remove();
}

async function readTopology() {
  const answer = await fetch("/topology");
  if (answer.ok) $("topology").value = await answer.text();
}

for (const id of ["reset", "check", "hint", "stop"]) $(id).addEventListener("click", () => ask(`/do/${id}`));
$("start").addEventListener("click", () => ask("/do/start", { workshop: $("workshops").value }));
$("apply").addEventListener("click", () => ask("/do/apply", { topology: $("topology").value }));

const list = await (await fetch("/workshops")).json();
for (const each of list) {
  const option = make("option", each.name);
  option.value = each.name;
  option.dataset.title = option.textContent = `${each.name.slice(0, 2)} ${each.title} (${each.minutes} min)`;
  $("workshops").append(option);
}
say("");
follow("/state", draw);
