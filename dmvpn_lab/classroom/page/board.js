// The instructor's board: everybody's progress, and a look over a shoulder.
import { $, ask, clock, follow, make } from "/page/common.js";
import { open } from "/page/terminal.js";

let view = null;

function draw(board) {
  $("class").textContent = board.class;
  $("count").textContent = `${board.running} of at most ${board.at_once} labs run`;
  $("learners").replaceChildren(...board.learners.map(row));
}

function row(each) {
  const line = make("tr");
  const all = each.tasks > 0 && each.done === each.tasks;
  line.append(make("th", each.learner));
  line.append(make("td", each.state, each.state === "running" ? "good" : each.state === "off" ? "faint" : "soon"));
  line.append(make("td", each.workshop ?? ""));
  line.append(make("td", each.workshop && each.checked_at ? `${each.done} of ${each.tasks}` : "", all ? "good" : ""));
  line.append(make("td", clock(each.checked_at)), make("td", each.hints || ""));
  line.append(make("td", each.idle_min === null ? "" : `${each.idle_min} min`));
  const passed = each.passed.map((name) => name.slice(0, 2) + (each.solved.includes(name) ? " (solution run)" : ""));
  line.append(make("td", passed.join(", ")));
  const looks = make("td");
  for (const name of each.terminals) looks.append(button(name, () => look(each.learner, name)));
  const ends = make("td");
  if (each.state !== "off") ends.append(button("Stop", () => stop(each.learner)));
  line.append(looks, ends);
  return line;
}

function button(text, act) {
  const made = make("button", text, "quiet");
  made.addEventListener("click", act);
  return made;
}

function stop(learner) {
  if (confirm(`Stop the lab of ${learner}? What was changed in its nodes by hand is gone.`)) ask(`/stop/${learner}`);
}

function look(learner, name) {
  close();
  $("look").hidden = false;
  $("looked").textContent = `${learner}: ${name}`;
  view = open($("screen"), `/look/${learner}/${name}`, { looks: true });
}

function close() {
  if (view !== null) view.close();
  view = null;
  $("look").hidden = true;
  $("screen").replaceChildren();
}

$("close").addEventListener("click", close);
follow("/board", draw);
