// The panel of one job: its state, output, result, and each attempt to notify.

import { actionButtons, busy } from "./actions.js";
import { call, get } from "./api.js";
import { $, bdi, button, commandLine, h, icon, set, setState, setText, show } from "./dom.js";
import { Output } from "./output.js";
import { go, route } from "./route.js";
import { onChange, prospectOf, store, upsert } from "./store.js";
import { ago, ahead, bytes, clock, duration, notified, oneLine, plural, seconds, stateClass, stateReason, stateText, title, took, visible, words } from "./text.js";

const TABS = [["", "Output"], ["result", "Result"], ["wakes", "Notifications"], ["document", "Document"]];
let parts;
let shown = "";
let loaded = "";
let asked = "";
let samples = [];

export function drawJob() {
	show($("job"), route.job);
	document.body.classList.toggle("has-job", Boolean(route.job));
	parts ??= build();
	const job = store.jobs.get(route.job);
	if (shown && shown !== job?.id) {
		parts.output.close();
		shown = "";
	}
	show(parts.body, job);
	if (!job) return route.job ? load(route.job) : (asked = "");
	if (!shown) {
		shown = job.id;
		loaded = "";
		samples = [];
		parts.output.open(job.id);
		parts.heading.focus({ preventScroll: true });
	}
	setState(parts.dot, stateClass(job));
	setText(parts.title, title(job));
	setText(parts.command, visible(job.command.trim()).slice(0, 2000));
	show(parts.command, job.name);
	const { cpu_ms: cpu, peak_memory_bytes: peak, leftovers } = job;
	setText(parts.facts, [job.id, `in ${oneLine(job.cwd)}`, cpu !== null && `${duration(cpu)} processor time`, peak && `${bytes(peak)} peak memory`, leftovers.length && `${plural(leftovers.length, "process")} left behind`].filter(Boolean).join(" · "));
	setText(parts.session, oneLine(job.session, 80));
	parts.buttons.draw([job]);
	parts.output.update(job);
	drawTab(job);
	tickJob();
}

export function tickJob() {
	const job = store.jobs.get(shown);
	if (!job) return;
	const { next_attempt_at: next } = job.follow_up;
	setText(parts.line, busy.get(job.id) ?? (job.state === "finished"
		? `${stateText(job)}${took(job)}, ${ago(job.ended_at)}. ${stateReason(job)}`
		: `${stateText(job)} for ${seconds(Date.now() - Date.parse(job.started_at ?? job.created_at))}${job.timeout_ms ? ` of ${duration(job.timeout_ms)}` : ", no time limit"}`));
	set(parts.line, "class", `line ${stateClass(job)}`);
	setText(parts.told, `${notified(job, store.server, prospectOf(job))}.${next ? ` Next attempt ${ahead(next)}.` : ""}`);
	show(parts.usage, job.state === "running" && samples.length);
	if (job.state === "running") sample(job.id);
}

const plot = (values, least) => h("span", { "aria-hidden": "true" }, values.map((value) => "▁▂▃▄▅▆▇█"[Math.floor(7.99 * value / Math.max(least, ...values))]).join(""));

/** What the processes use, while somebody looks. */
async function sample(id) {
	const now = await get(`jobs/${id}/usage`).catch(() => {});
	if (!now || id !== shown) return;
	samples = [...samples, now].slice(-30);
	const cores = samples.slice(1).map(({ cpu_ms: cpu, sampled_at: at }, index) => Math.max(0, cpu - samples[index].cpu_ms) / (Date.parse(at) - Date.parse(samples[index].sampled_at)) || 0);
	parts.usage.replaceChildren(`Processor ${Math.round(100 * (cores.at(-1) ?? 0))} % `, plot(cores, 1), ` · memory ${bytes(now.memory_bytes)} `, plot(samples.map((each) => each.memory_bytes), 1), ` · ${plural(now.processes, "process")}`);
}

async function load(id) {
	if (asked === id) return;
	asked = id;
	setText(parts.title, oneLine(id, 40));
	setText(parts.line, "Loading …");
	for (const each of [parts.command, parts.facts, parts.session]) setText(each, "");
	try {
		const job = await get(`jobs/${encodeURIComponent(id)}`);
		upsert([job]);
		if (job.id !== id && route.job === id) go({ job: job.id }, true);
	} catch ({ status, message }) {
		if (!status) asked = "";
		if (route.job === id) setText(parts.line, status === 404 ? "This job does not exist. Old jobs are deleted." : message);
	}
}

function build() {
	const dot = h("span");
	const name = h("bdi");
	const heading = h("h2", { id: "job-title", tabindex: -1 }, name);
	const command = h("pre");
	const facts = h("bdi");
	const session = button("", () => go({ session: store.jobs.get(shown).session }), ".plain");
	const line = h("p");
	const told = h("p.told-line");
	const usage = h("p.faint", { hidden: true });
	const buttons = actionButtons(() => [store.jobs.get(shown)]);
	const output = new Output();
	const tabs = TABS.map(([tab, label]) => button(label, () => go({ tab }, true), "", { role: "tab", id: `tab-${tab}`, "aria-controls": `pane-${tab}` }));
	const panes = TABS.map(([tab]) => h(`div.pane.${tab || "log"}`, { role: "tabpanel", id: `pane-${tab}`, "aria-labelledby": `tab-${tab}` }));
	panes[0].append(output.element);
	const turn = ({ key }) => {
		const by = { ArrowRight: 1, ArrowLeft: 3 }[key];
		const next = tabs[(tabs.indexOf(document.activeElement) + by) % 4];
		next?.click();
		next?.focus();
	};
	const body = h("div.job-body", told, h("div.buttons", buttons.elements), h("div.tabs", { role: "tablist", "aria-label": "Parts of the job", onkeydown: turn }, tabs), panes);
	$("job").append(h("div.job-head", dot, h("div.text", heading, command, h("p.faint", facts, " · session ", session), usage, line),
		button(icon("bad"), () => go({ job: "", tab: "" }), ".bare", { "aria-label": "Close the job" })), body);
	return { dot, heading, title: name, command, facts, session, usage, line, told, buttons, output, tabs, panes, body };
}

function drawTab(job) {
	const current = Math.max(0, TABS.findIndex(([tab]) => tab === route.tab));
	parts.tabs.forEach((tab, index) => {
		set(tab, "aria-selected", index === current);
		set(tab, "tabindex", index === current ? 0 : -1);
		show(parts.panes[index], index === current);
	});
	const key = `${job.id} ${current} ${current === 3 ? JSON.stringify(job) : job.state}`;
	if (loaded === key) return;
	loaded = key;
	const pane = parts.panes[current];
	if (current === 1) fill(pane, call(`jobs/${job.id}/result`, { accept: "text/plain" }), (result) => [h("p.faint", "The text that the agent reads. Reading it here acknowledges nothing."), text("Result", result)]);
	if (current === 2) loadWakes();
	if (current === 3) pane.replaceChildren(h("p.faint", "The document homing.job/1, as homing show --json prints it."), text("Document", JSON.stringify(job, null, 2)));
}

const text = (label, content) => h("pre", { tabindex: 0, role: "region", "aria-label": label }, visible(content));

async function fill(pane, answer, content) {
	const job = shown;
	const elements = await answer.then(content, ({ message }) => [h("p.error", message)]);
	if (job === shown) pane.replaceChildren(...elements);
}

const loadWakes = () => fill(parts.panes[2], get(`jobs/${shown}/wakes`), ({ wakes }) =>
	wakes.length ? wakes.map(wakeElement) : [h("p.none", "No attempt to notify the session was made."), store.server.sinks.length ? "" : commandLine("homing setup")]);

function wakeElement({ id, state, sink, created_at: created, next_at: next, jobs, attempts = [], text: message }) {
	const facts = [` written ${clock(created)}`, jobs.length > 1 && `with ${plural(jobs.length, "job")}`, next && state !== "dead" && `next ${ahead(next)}`];
	return h("section.wake",
		h("h3", words(state), h("span.faint", ` through ${oneLine(sink, 60)}`)),
		h("p.faint", h("code", id), facts.filter(Boolean).join(" · ")),
		h("div.scroll", { tabindex: 0, role: "region", "aria-label": `Attempts of ${id}` }, h("table",
			h("thead", h("tr", ["Attempt", "At", "Took", "Answer"].map((name) => h("th", { scope: "col" }, name)))),
			h("tbody", attempts.map(({ number, started_at: from, ended_at: to, result, error }) => h("tr",
				[number, clock(from), to && duration(Date.parse(to) - Date.parse(from)), bdi(`${words(result ?? "running")}${error ? `: ${error}` : ""}`, 1000)].map((value) => h("td", value))))))),
		message && h("details", h("summary", "Text for the agent"), text("Text", message)));
}

onChange((events) => {
	const session = store.jobs.get(shown)?.session;
	if (route.tab === "wakes" && events.some((event) => event.session === session && /^(wake|follow_up)\./.test(event.type))) loadWakes();
});

export const followOutput = () => parts.output.follow(!parts.output.follows);
export const searchOutput = () => parts.output.search.focus();
