// The script of the page. The session is in the fragment of the address, so that a reload opens it again.
"use strict";

const element = (id) => document.getElementById(id);
const post = (path, body) => fetch(path, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body ?? {}),
});

async function main() {
  if (!location.hash) {
    location.hash = (await (await post("/sessions")).json()).session;
  }
  const session = `/sessions/${encodeURIComponent(location.hash.slice(1))}`;
  const events = new EventSource(`${session}/events`);
  const say = (text) => { element("state").textContent = text; };

  events.addEventListener("message", (event) => {
    const message = JSON.parse(event.data);
    const line = document.createElement("p");
    line.dataset.sender = message.sender;
    line.textContent = message.text; // Text of jobs is data: never innerHTML.
    element("messages").append(line);
    line.scrollIntoView();
  });
  events.addEventListener("turn", (event) => {
    const { running } = JSON.parse(event.data);
    element("stop").disabled = !running;
    say(running ? "the agent is running" : "");
  });
  events.addEventListener("deleted", () => { events.close(); say("this chat was deleted"); });
  events.addEventListener("open", () => say(""));
  events.addEventListener("error", () => {
    say(events.readyState === EventSource.CLOSED ? "this chat does not exist" : "reconnecting …");
  });
  element("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await post(`${session}/messages`, { text: element("text").value });
    if (answer.ok) { element("text").value = ""; } else { say((await answer.json()).detail); }
  });
  element("stop").addEventListener("click", () => post(`${session}/stop`));
}

main();
