// The form that launches a job.

import { post } from "./api.js";
import { announce, button, h, openDialog, setText } from "./dom.js";
import { go, route } from "./route.js";
import { store, upsert } from "./store.js";
import { duration, oneLine, parseDuration, title } from "./text.js";

export const sessionList = (id) => h("datalist", { id }, [...store.sessions.keys()].slice(0, 50).map((value) => h("option", { value })));

export function openLaunch(given = {}) {
	const { session: ownSession, default_timeout_ms: usual, max_timeout_ms: most } = store.server;
	const inputs = {};
	const field = (name, label, value, hint, more) => {
		const id = `launch-${name}`;
		const input = h(name === "command" ? "textarea" : "input", { id, autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-hint`, ...more });
		input.value = value ?? "";
		inputs[name] = input;
		return h("div.field", h("label", { for: id }, label), input, h("small", { id: `${id}-hint` }, hint));
	};
	const error = h("p.error", { role: "alert" });
	const submit = h("button.primary", { type: "submit" }, "Launch");
	// After a lost answer, the key finds the same job.
	const key = `page-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
	const fail = (message, input) => {
		setText(error, message);
		input?.focus();
	};
	const launch = async (event) => {
		event.preventDefault();
		const { limit, ...body } = Object.fromEntries(Object.entries(inputs).map(([name, { value }]) => [name, value.trim() || undefined]));
		body.timeout_ms = limit && parseDuration(limit);
		if (!body.command) return fail("Enter a command.", inputs.command);
		if (body.timeout_ms === null) return fail("Write the limit as 90s, 15m, 2h, 1h30m or none.", inputs.limit);
		submit.disabled = true;
		try {
			const job = await post("jobs", body, 30_000, { "Idempotency-Key": key });
			upsert([job]);
			dialog.close();
			announce(`Launched ${title(job)}`);
			go({ view: "", job: job.id, tab: "" });
		} catch ({ message, hint }) {
			submit.disabled = false;
			fail(`${oneLine(message, 600)} ${hint ? oneLine(hint) : ""}`);
		}
	};
	const form = h("form", {
		novalidate: true,
		onsubmit: launch,
		onkeydown: ({ key: pressed, ctrlKey, metaKey }) => pressed === "Enter" && (ctrlKey || metaKey) && form.requestSubmit(),
	},
	h("h2", { id: "dialog-title" }, "Launch a job"),
	field("command", "Command", given.command, "A shell script. Ctrl+Enter launches.", { rows: 3 }),
	h("div.columns",
		field("session", "Session", ownSession ?? given.session ?? route.session, ownSession ? "The session of this token." : "It is notified of the result.",
			{ list: "launch-sessions", placeholder: "default", readonly: Boolean(ownSession) }),
		field("name", "Name", given.name, "Optional."),
		field("limit", "Time limit", given.timeout_ms && duration(given.timeout_ms), `90s, 15m, 2h or none.${most ? ` At most ${duration(most)}.` : ""}`, { placeholder: usual ? duration(usual) : "none" }),
		field("cwd", "Directory", given.cwd, "Optional.")),
	sessionList("launch-sessions"), error,
	h("div.buttons", button("Cancel", () => dialog.close()), submit));
	const dialog = openDialog(form);
	inputs.command.focus();
}
