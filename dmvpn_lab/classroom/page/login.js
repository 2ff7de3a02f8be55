// The login form, without leaving the page when it fails.
const form = document.getElementById("login");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/login", { method: "POST", body: new URLSearchParams(new FormData(form)) });
  if (answer.ok) location.assign("/");
  else document.getElementById("said").textContent = await answer.text();
});
