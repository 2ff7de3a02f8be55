// What the pages of learners and instructors have in common.
export const $ = (id) => document.getElementById(id);

export function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  return element;
}

export async function ask(path, fields = {}) {
  const answer = await fetch(path, { method: "POST", body: new URLSearchParams(fields) });
  if (answer.status === 401) location.assign("/login");
  say(answer.ok ? "" : await answer.text());
  return answer.ok;
}

export function say(text) {
  $("said").textContent = text;
}

export function follow(path, take) {
  const stream = new EventSource(path);
  stream.addEventListener("message", (event) => {
    $("line").textContent = "";
    take(JSON.parse(event.data));
  });
  stream.addEventListener("error", () => {
    $("line").textContent = "the server does not answer";
    if (stream.readyState === EventSource.CLOSED) location.assign("/login");
  });
}

export const clock = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleTimeString() : "");

$("logout").addEventListener("click", async () => {
  await fetch("/logout", { method: "POST" });
  location.assign("/login");
});
