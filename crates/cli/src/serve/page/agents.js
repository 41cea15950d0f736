// The agents of this machine: found, set up, the last wake through each, and a test wake.

import { get, post } from "./api.js";
import { $, announce, bdi, commandLine, h, icon, show } from "./dom.js";
import { sessionList } from "./launch.js";
import { canChange, store } from "./store.js";
import { ago, oneLine, words } from "./text.js";

const KIND = { complete: "good", partial: "warn", ok: "good", warning: "warn", failed: "bad" };
const list = h("div.agents");
const badge = (kind = "quiet", text) => h(`span.badge.${kind}`, icon(kind), text);

export async function drawAgents() {
	if (!list.isConnected) $("agents").append(h("h1", "Agents"), list, testForm());
	const cards = await get("agents").then(({ agents }) => [monitorCard(store.server), ...agents.sort((a, b) => b.found - a.found).map(agentCard)], ({ message }) => [h("p.error", message)]);
	list.replaceChildren(...cards);
}

const monitorCard = ({ monitor: { active, pid }, sinks }) => h("article.card",
	h("h2", "Monitor ", active ? badge("good", `Active, pid ${pid}`) : badge("quiet", "Not running")),
	!active && commandLine("homing monitor"),
	h("p.faint", bdi(sinks.length ? `Sinks: ${sinks.join(", ")}` : "Nobody is notified: no sink is configured.")));

function agentCard({ name, title, found, setup, detail, last_wake: wake, command }) {
	const last = wake && `Last wake: ${words(wake.state)} ${ago(wake.at)}, session ${oneLine(wake.session, 60)}${wake.error ? `: ${oneLine(wake.error)}` : ""}`;
	return h("article.card",
		h("h2", bdi(title), " ", found ? badge(KIND[setup], `Setup: ${words(setup).toLowerCase()}`) : badge("quiet", "Not found on this machine")),
		detail && h("p", bdi(detail, 600)),
		found && (setup === "none" || setup === "partial") && h("p", commandLine(command ?? `homing setup ${name} --write`)),
		found && h("p.faint", bdi(last ?? "No wake went through it yet.", 600)));
}

function testForm() {
	const session = h("input", { id: "test-session", list: "test-sessions", autocomplete: "off" });
	const steps = h("ol.steps", { role: "status" });
	const submit = h("button.primary", { type: "submit" }, "Send a test wake");
	const send = async (event) => {
		event.preventDefault();
		const name = session.value.trim();
		if (!name) return session.focus();
		submit.disabled = true;
		steps.replaceChildren(h("li", "Sending …"));
		try {
			// The sink may take a whole turn of the agent.
			const { checks } = await post("agents/test-wake", { session: name, harness: null }, 900_000);
			steps.replaceChildren(...checks.map((check) => h("li", badge(KIND[check.status], words(check.status)), " ", h("b", bdi(check.name)), " ", bdi(check.detail, 600), " ", check.hint && h("small", bdi(check.hint)))));
			announce("The test wake was answered.");
		} catch ({ message, hint = "" }) {
			steps.replaceChildren(h("li.error", `${message} ${hint}`));
		}
		submit.disabled = false;
	};
	const form = h("form.card", { onsubmit: send },
		h("h2", "Test wake"),
		h("p.faint", "Sends a message to a session through its route, and shows each step. The message names no job and says that it is a test."),
		h("div.line-up", h("label", { for: "test-session" }, "Session"), session, submit), steps, sessionList("test-sessions"));
	show(form, canChange());
	return form;
}
