// The page of all jobs: what needs attention, what runs, what has finished.

import { get } from "./api.js";
import { acknowledge, busy, kill, onSelection, rerun, retry, select, selection } from "./actions.js";
import { $, KeyedList, bdi, button, commandLine, h, icon, set, setState, setText, show, toastProblem } from "./dom.js";
import { openLaunch } from "./launch.js";
import { go, route } from "./route.js";
import { DAY, canChange, canSeeAgents, derive, dismiss, prospectOf, store, upsert, watchOutputs } from "./store.js";
import { ahead, ago, bytes, clock, duration, grouped, notified, oneLine, plural, seconds, stateClass, stateReason, stateText, title, took, undelivered } from "./text.js";
import { Timeline } from "./timeline.js";

const PAGE = 50;
const FIRST = { attention: 10, running: 50, finished: 50 };
const NAMED = 4;

let parts;
let sections;
let filters = "";
let older = {};

export function drawOverview() {
	parts ??= build();
	const key = `${route.session}\n${route.q}\n${route.how}`;
	if (filters !== key) {
		for (const [id, section] of Object.entries(sections)) section.limit = FIRST[id];
		filters = key;
		older = {};
	}
	const derived = derive(route);
	for (const [id, section] of Object.entries(sections)) {
		const items = derived[id];
		const hidden = items.length - section.limit;
		section.shown = items.slice(0, section.limit);
		section.list.render(section.shown);
		setText(section.count, items.length ? grouped(items.length) : "");
		show(section.box, items.length);
		show(section.none, !items.length);
		const isOlder = id === "finished" && !older.isDone && store.jobs.size >= 200;
		show(section.more, hidden > 0 || isOlder);
		setText(section.more, hidden > 0 ? `Show ${Math.min(PAGE, hidden)} more of ${grouped(hidden)}` : "Load older jobs");
	}
	watchOutputs(sections.running.shown.map(({ id }) => id));
	const { attention, running, finished } = derived;
	const { monitor, sinks, session: ownSession } = store.server;
	show(parts.dismiss, attention.filter(isFailure).length > 1);
	show(parts.first, !store.jobs.size);
	parts.timeline.update({ jobs: [...running, ...finished], marks: store.marks, isCut: store.isCut });

	const { search, session, how, clear } = parts;
	const names = [...new Set(["", route.session, ...store.sessions.keys()])].slice(0, 300);
	if (session.names !== names.join("\n")) session.replaceChildren(...names.map((value) => h("option", { value }, oneLine(value, 60) || "All sessions")));
	session.names = names.join("\n");
	if (document.activeElement !== search) search.value = route.q;
	session.value = route.session;
	how.value = route.how;
	show(session, !ownSession);
	show(clear, route.q || route.session || route.how);

	const since = new Date(Date.now() - DAY).toISOString();
	const texts = [
		[grouped(attention.length), "needs attention", attention.length && "warn"],
		[grouped(running.length), "running", running.length && "active"],
		[grouped(finished.filter((job) => job.ended_at > since).length), "finished in 24 h"],
		sinks.length ? [monitor.active ? "Active" : "Not running", "monitor", monitor.active && "good"] : ["No sink", "nobody is notified", "warn"],
	];
	texts.forEach(([value, label, style], index) => {
		const tile = parts.tiles[index];
		setText(tile.firstChild, value);
		setText(tile.lastChild, label);
		set(tile, "class", style || "calm");
	});
	const name = attention.length ? `(${attention.length}) homing` : "homing";
	if (document.title !== name) document.title = name;
}

export function tickOverview() {
	for (const { list } of Object.values(sections ?? {})) for (const row of list.rows.values()) row.tick();
}

function build() {
	const choice = (label, key, options = []) => h("select", { "aria-label": label, onchange: ({ target }) => go({ [key]: target.value }) }, options.map(([value, text]) => h("option", { value }, text)));
	const label = "Filter by name, command, session or id";
	const search = h("input", { type: "search", id: "filter", placeholder: label, "aria-label": label, oninput: () => go({ q: search.value }, true) });
	const session = choice("Session", "session");
	const how = choice("Outcome of finished jobs", "how", [["", "All outcomes"], ["failed", "Failed"], ["succeeded", "Succeeded"], ["unnotified", "Not notified"]]);
	const clear = button("Clear filters", () => go({ q: "", session: "", how: "" }), ".bare");
	sections = {
		attention: section("attention", "Needs attention", "Nothing needs attention.", [], attentionItem),
		running: section("running", "Running", "No job is running.", ["Job", "Session", "Time and limit", "Last output", "Actions"], runningRow),
		finished: section("finished", "Finished", "No finished job.", ["Job", "Session", "Outcome", "Took", "Ended", "Notification"], finishedRow),
	};
	const dismissAll = button("Dismiss failed jobs", () => dismiss(derive(route).attention.filter(isFailure).map(({ jobs }) => jobs[0].id)), ".bare");
	sections.attention.head.append(dismissAll);
	const timeline = new Timeline();
	sections.finished.head.after(timeline.element);
	const jump = (id) => () => {
		$(`${id}-heading`).scrollIntoView();
		$(`${id}-heading`).focus({ preventScroll: true });
	};
	const tiles = [...Object.keys(sections).map(jump), () => canSeeAgents() && go({ view: "agents", job: "" })].map((target) => button([h("b"), h("span")], target));
	const first = h("div.card",
		h("h2", "No jobs yet"), h("p", "Launch a job, or let your agent launch jobs and be notified of their results:"), commandLine("homing setup"));
	$("overview").append(h("h1.unseen", "Jobs"), h("ul.tiles", { "aria-label": "Summary" }, tiles.map((tile) => h("li", tile))),
		h("form.filters", { role: "search", "aria-label": "Filters", onsubmit: (event) => event.preventDefault() }, search, session, how, clear),
		first, ...Object.values(sections).map(({ element }) => element));
	$("overview").addEventListener("click", openLink);
	onSelection(() => [sections.running, sections.finished].forEach(({ list }) => list.rows.forEach((row) => row.drawSelection())));
	return { dismiss: dismissAll, timeline, tiles, search, session, how, clear, first };
}

/** A click on a link or a row keeps the filters. */
function openLink(event) {
	if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
	const link = event.target.closest("a, button, input, label");
	const { go: target } = (link ?? event.target.closest(".row"))?.dataset ?? {};
	if (!target || (!link && !getSelection().isCollapsed)) return;
	event.preventDefault();
	go(JSON.parse(target));
}

function section(id, heading, empty, columns, make) {
	const count = h("span.count");
	const head = h("div.head", h("h2", { id: `${id}-heading`, tabindex: -1 }, heading, " ", count));
	const none = h("p.none", empty);
	const more = button("", async () => {
		sections[id].limit += PAGE;
		if (more.textContent.startsWith("Load")) await loadOlder(more);
		drawOverview();
	}, ".more");
	const header = h("div.row.header", { role: "row" }, ["Select", ...columns].map((text) => h("span", { role: "columnheader" }, h(/Select|Actions/.test(text) ? "span.unseen" : "span", text))));
	const body = columns.length ? h("div", { role: "rowgroup" }) : h("ul");
	const box = columns.length ? h("div", { role: "table", "aria-label": `${heading} jobs` }, h("div.headers", { role: "rowgroup" }, header), body) : body;
	const element = h(`section.section.${id}`, { "aria-labelledby": `${id}-heading` }, head, none, box, more);
	return { element, head, count, none, more, box, list: new KeyedList(body, make, (item) => item.key ?? item.id) };
}

async function loadOlder(more) {
	more.disabled = true;
	try {
		const page = await get("jobs", { state: "finished", session: route.session, failed: route.how === "failed" || null, limit: 200, cursor: older.cursor });
		older = { cursor: page.next_cursor, isDone: !page.next_cursor };
		upsert(page.jobs);
	} catch (error) {
		toastProblem(error);
	}
	more.disabled = false;
}

const link = (target, style, content, properties = {}) =>
	h(`a${style}`, { href: `#${new URLSearchParams(target)}`, "data-go": JSON.stringify(target), ...properties }, content);
const jobLink = (job, style = ".title") => link({ job: job.id }, style, bdi(title(job)), { "data-job": job.id });
const sessionLink = (session) => link({ session }, ".plain", bdi(session, 80));

function rowOf(job, cells, draw, tick) {
	const box = h("input", { type: "checkbox", "aria-label": `Select ${title(job)}`, onchange: () => select([job.id], box.checked) });
	const dot = h("span");
	const state = h("span.unseen");
	const cell = ([style, ...content]) => h(`span.${style}`, { role: "cell" }, content);
	const element = h("div.row", { role: "row", "data-go": JSON.stringify({ job: job.id }), "data-job": job.id },
		h("label.pick", { role: "cell" }, box),
		cell(["what", dot, h("span.text", state, jobLink(job), h("span.sub", h("code", job.id.slice(0, 8)), " ", bdi(job.name ? job.command : job.cwd, 200)))]),
		cell(["session", sessionLink(job.session)]), cells.map(cell));
	const drawSelection = () => {
		box.checked = selection.has(job.id);
		element.classList.toggle("selected", box.checked || job.id === route.job);
	};
	const update = (next) => {
		job = next;
		setState(dot, stateClass(job));
		setText(state, `${stateText(job)}: `);
		drawSelection();
		draw(job);
		tick(job);
	};
	return { element, drawSelection, update, tick: () => tick(job) };
}

function runningRow({ id, ...first }) {
	const time = h("span");
	const fill = h("span.fill");
	const bar = h("span.bar", fill);
	const output = h("span");
	const stop = button("Kill", () => kill([store.jobs.get(id)]), ".small", { "aria-label": `Kill ${title(first)}` });
	const draw = () => {
		show(stop, canChange());
		stop.disabled = busy.has(id);
	};
	const tick = ({ state, started_at: started, timeout_ms: limit, output: { total_bytes: size } }) => {
		const ran = started ? Date.now() - Date.parse(started) : 0;
		const part = Math.min(1, ran / limit);
		const { at, total = size } = store.growth.get(id) ?? {};
		setText(time, busy.get(id) ?? (state === "starting" ? "starting" : `${seconds(ran)}${limit ? ` of ${duration(limit)}` : ", no limit"}`));
		show(bar, limit);
		fill.style.transform = `scaleX(${part.toFixed(3)})`;
		fill.classList.toggle("late", part > 0.8);
		setText(output, total ? `${at ? `${ago(at)} · ` : ""}${bytes(total)}` : "no output yet");
	};
	return rowOf({ id, ...first }, [["time", time, bar], ["output", output], ["do", stop]], draw, tick);
}

function finishedRow(first) {
	const [how, ran, told] = [h("span"), h("span"), h("span")];
	const ended = h("time");
	const draw = (job) => {
		setText(how, busy.get(job.id) ?? stateText(job));
		set(how, "class", stateClass(job));
		setText(ran, job.duration_ms === null ? "–" : duration(job.duration_ms));
		set(ended, "title", clock(job.ended_at));
		setText(told, notified(job, store.server, prospectOf(job)));
		set(told, "class", { acknowledged: "good", suppressed: "good", dead: "bad" }[job.follow_up.state] ?? "odd");
	};
	return rowOf(first, [["how", how], ["took", ran], ["ended", ended], ["told", told]], draw, ({ ended_at: at }) => setText(ended, ago(at)));
}

const isFailure = ({ kind }) => kind === "failed" || kind === "lost";

function attentionItem(item) {
	const dot = h("span");
	const heading = h("h3");
	const reason = h("p.reason");
	const names = h("p.names");
	const buttons = h("div.buttons");
	const tick = () => setText(reason, reasonOf(item));
	let shown;
	const update = (next) => {
		item = next;
		const { kind, jobs } = item;
		setState(dot, kind === "dead" ? "bad" : isFailure(item) ? stateClass(jobs[0]) : "warn");
		// The focus may be on a button.
		const key = JSON.stringify([kind, jobs.map(({ id }) => id), store.server]);
		if (shown !== key) {
			shown = key;
			heading.replaceChildren(...headingOf(item));
			names.replaceChildren(...(isFailure(item) ? [] : namesOf(jobs)));
			buttons.replaceChildren(...buttonsOf(item).filter(Boolean));
		}
		tick();
	};
	return { element: h("li.item", dot, h("div.text", heading, reason, names), buttons), tick, update };
}

function headingOf({ kind, jobs, session }) {
	const where = sessionLink(session);
	if (kind === "failed" || kind === "lost") return [jobLink(jobs[0]), " ", h("span.faint", "in ", where)];
	const count = plural(jobs.length, "result");
	const [waits, is] = jobs.length === 1 ? ["waits", "is"] : ["wait", "are"];
	if (kind === "dead") return [`Delivery of ${count} to `, where, " was given up"];
	return [`${count} for `, where, kind === "waiting" ? ` ${waits} for the next attempt` : ` ${is} not delivered`];
}

function reasonOf({ kind, jobs: [job], wake }) {
	if (kind === "failed" || kind === "lost") {
		const why = stateReason(job);
		return `${stateText(job)}${took(job)}, ${ago(job.ended_at)}. ${why}${why && " "}${notified(job, store.server, prospectOf(job))}.`;
	}
	if (wake) {
		const { attempts = [], sink, last_error: error, next_at: next } = wake;
		const tried = attempts.length ? `${plural(attempts.length, "attempt")} through ${oneLine(sink, 60)} failed` : "No attempt yet";
		return `${tried}${error ? `: ${oneLine(error)}` : ""}.${next && kind === "waiting" ? ` Next attempt ${ahead(next)}.` : ""}`;
	}
	return `Nobody was notified: ${undelivered(job, store.server, prospectOf(job)) || "the monitor has not delivered it yet"}.`;
}

function namesOf(jobs) {
	const chips = jobs.slice(0, NAMED).map((job) => h(`span.chip.${stateClass(job)}`, icon(stateClass(job)), h("span.unseen", `${stateText(job)}: `), jobLink(job, "")));
	if (jobs.length > NAMED) chips.push(link({ how: "unnotified", session: jobs[0].session }, ".chip", `and ${grouped(jobs.length - NAMED)} more`));
	return chips;
}

// The action that helps, then the one that settles the item.
function buttonsOf({ kind, jobs }) {
	const [job] = jobs;
	const { monitor: { active }, sinks } = store.server;
	const act = (label, run, style) => canChange() && button(label, run, style);
	if (!isFailure({ kind })) {
		const command = kind === "undelivered" && (!sinks.length ? "homing setup" : !active && "homing monitor");
		return [command ? commandLine(command) : act("Retry now", () => retry(jobs), ".primary"), act("Acknowledge", () => acknowledge(jobs))];
	}
	const away = button("Dismiss", () => dismiss([job.id]));
	const isLate = job.outcome.kind === "timed_out";
	// The form holds a script. Values of variables are not stored.
	if ((isLate || job.outcome.kind === "failed_to_start") && !job.argv && !job.env_names) {
		return [act(isLate ? "Launch with a longer limit" : "Launch again", () => openLaunch({ ...job, timeout_ms: job.timeout_ms * (isLate ? 2 : 1) })), away];
	}
	if (kind === "lost") return [act("Run again", () => rerun([job])), away];
	return [link({ job: job.id, tab: "" }, ".button", "Show output", { "aria-label": `Show output of ${title(job)}` }), away];
}
