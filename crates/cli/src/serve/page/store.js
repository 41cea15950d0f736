// What the page knows: loads it, follows the events, catches up after each break. No DOM.

import { Problem, backOff, forgetToken, get, hasToken, stream } from "./api.js";
import { failed, isOwed } from "./text.js";

const BATCH = 50;
export const DAY = 86_400_000;
const MAX_JOBS = 3000;
const MAX_DAY = 2000;
/** A hidden page closes its streams then: a browser has six connections to a server. */
const HIDDEN = 60_000;
/** Results are normally delivered within this time. */
const NORMAL_DELAY = 3000;

export const store = {
	jobs: new Map(),
	wakes: new Map(),
	sessions: new Map(),
	/** Job → { total, at }: the size of its output, and when it grew. */
	growth: new Map(),
	/** Attempts to notify: key → { session, at, kind }. */
	marks: new Map(),
	server: null,
	/** null while connected, else { since, retryAt, detail }. */
	offline: null,
	signedOut: !hasToken(),
	isCut: false,
};

export const canChange = () => store.server.scope !== "read";
export const canSeeAgents = () => !store.server.session;
export const prospectOf = ({ session }) => store.sessions.get(session)?.prospect;

const listeners = [];
export const onChange = (listener) => listeners.push(listener);

let timer = 0;
let flushedAt = 0;
const batch = [];

export function changed() {
	timer ||= setTimeout(flush, Math.max(0, flushedAt + BATCH - performance.now()));
}

function flush() {
	timer = 0;
	const { jobs, marks } = store;
	while (marks.size > MAX_JOBS) marks.delete(marks.keys().next().value);
	if (jobs.size > MAX_JOBS + 200) {
		const closed = [...jobs.values()].filter((job) => job.state === "finished" && !isOwed(job)).sort(newestFirst("created_at"));
		for (const { id } of closed.slice(MAX_JOBS - jobs.size)) jobs.delete(id);
	}
	const events = batch.splice(0);
	for (const listener of listeners) listener(events);
	flushedAt = performance.now();
}

/** The event of a job's end may arrive before an older answer. */
export function upsert(jobs) {
	for (const job of jobs) if (job.state === "finished" || store.jobs.get(job.id)?.state !== "finished") store.jobs.set(job.id, job);
	changed();
}

const getWakes = (query) => get("wakes", { text: false, limit: 500, ...query });

async function load() {
	// The cursor first: what changes meanwhile is in the events after it.
	const server = await get("server");
	const [running, newest, owed, { wakes }, { sessions }] = await Promise.all([
		pages({ state: "running", limit: 500 }), get("jobs", { limit: 200 }), get("follow-ups", { limit: 500 }), getWakes(), get("sessions"),
	]);
	Object.assign(store, { server, jobs: new Map(), growth: new Map() });
	takeWakes(wakes);
	takeSessions(sessions);
	upsert([...running, ...newest.jobs, ...owed.jobs]);
	loadDay(newest).catch(() => {});
	setTimeout(changed, NORMAL_DELAY);
	return server.cursor;
}

async function pages(query) {
	const jobs = [];
	let page = { next_cursor: "" };
	do {
		page = await get("jobs", { ...query, cursor: page.next_cursor });
		jobs.push(...page.jobs);
	} while (page.next_cursor && jobs.length < MAX_DAY);
	return jobs;
}

async function loadDay({ next_cursor: cursor }) {
	const since = new Date(Date.now() - DAY).toISOString();
	const jobs = cursor ? await pages({ since, limit: 500 }) : [];
	(await getWakes({ since })).wakes.forEach(markAttempts);
	store.isCut = jobs.length >= MAX_DAY;
	// Events are newer.
	upsert(jobs.filter(({ id }) => !store.jobs.has(id)));
}

function takeWakes(wakes) {
	store.wakes = new Map(wakes.map((wake) => [wake.id, wake]));
	wakes.forEach(markAttempts);
}

const takeSessions = (sessions) => (store.sessions = new Map(sessions.map((each) => [each.session, each])));

function markAttempts({ id, session, attempts = [] }) {
	for (const { number, started_at: started, ended_at: ended, result } of attempts) {
		const kind = { delivered: "good", failed: "bad", gone: "bad", answer_lost: "bad" }[result] ?? "active";
		store.marks.set(`${id}.${number}`, { session, kind, at: Date.parse(ended ?? started) });
	}
}

// Asks once in `gap` milliseconds.
function throttled(gap, ask) {
	let timer = 0;
	const answer = () => {
		timer = 0;
		ask().then(changed, () => {});
	};
	return () => (timer ||= setTimeout(answer, gap));
}

const refreshWakes = throttled(500, async () => takeWakes((await getWakes()).wakes));
const refreshSessions = throttled(2000, async () => takeSessions((await get("sessions")).sessions));
const refreshServer = throttled(500, async () => (store.server = await get("server")));

let cursor = null;
let controller = null;
let watched = [];
let shownRunning = [];
let failures = 0;
let wakeUp = () => {};
let heardAt = Date.now();

export async function follow() {
	for (;;) {
		if (store.signedOut || document.hidden) await pause();
		if (store.signedOut) continue;
		try {
			cursor ??= await load();
			await followOnce();
			if (!controller.signal.aborted) throw new Problem(0);
		} catch (error) {
			if (!(error instanceof Problem)) console.error(error);
			if (error.status === 401) {
				forgetToken();
				store.signedOut = true;
			} else {
				const wait = backOff(failures++);
				if (error.status) cursor = null;
				store.offline = { since: store.offline?.since ?? Date.now(), retryAt: Date.now() + wait, detail: error.status ? error.message : "" };
				setTimeout(() => wakeUp(), wait);
			}
			changed();
			await pause();
		}
	}
}

async function followOnce() {
	controller = new AbortController();
	watched = shownRunning;
	await stream("events", {
		query: { since: cursor, documents: true, watch: watched.join(",") },
		headers: { "Last-Event-ID": cursor },
		signal: controller.signal,
		heard: () => (heardAt = Date.now()),
		open() {
			failures = 0;
			if (store.offline) refreshServer();
			store.offline = null;
			changed();
		},
		message: take,
	});
}

function take({ event, data, id }) {
	if (controller.signal.aborted) return;
	if (event === "homing") {
		cursor = id ?? data.cursor;
		batch.push(data);
		takeEvent(data);
	} else if (event === "output") store.growth.set(data.job, { total: data.total_bytes, at: Date.parse(data.last_output_at) });
	else if (event === "truncated") {
		// Events are missing: load again.
		cursor = null;
		controller.abort();
	} else return;
	changed();
}

function takeEvent({ type, job, document: current, session, wake, attempt, error, occurred_at: at }) {
	if (current) store.jobs.set(current.id, current);
	if (type === "job.finished") store.growth.delete(job);
	if (type === "job.removed") store.jobs.delete(job);
	const [subject, state] = type.split(".");
	if (subject === "monitor") refreshServer();
	if (state !== "finished") refreshSessions();
	if (subject === "job") return;
	refreshWakes();
	// A result not delivered then needs attention.
	setTimeout(changed, NORMAL_DELAY);
	const kind = { delivered: "good", dead: "bad" }[state] ?? (error ? "bad" : "active");
	if (attempt) store.marks.set(`${wake}.${attempt}`, { session, kind, at: Date.parse(at) });
}

let rewatchTimer = 0;
export function watchOutputs(ids) {
	shownRunning = ids.slice(0, 100);
	if (shownRunning.every((id) => watched.includes(id))) return;
	rewatchTimer ||= setTimeout(() => {
		rewatchTimer = 0;
		if (!store.offline) controller?.abort();
	}, 2000);
}

const pause = () => new Promise((resolve) => (wakeUp = resolve));

export function retryNow() {
	failures = 0;
	wakeUp();
}

export function signedIn() {
	store.signedOut = false;
	cursor = null;
	retryNow();
	changed();
}

/** After sleep a connection may be dead. The server sends a sign each 15 s, so silence tells. */
function renew() {
	if (Date.now() - heardAt > 17_000) controller?.abort();
	retryNow();
}

let hiddenTimer = 0;
document.addEventListener("visibilitychange", () => {
	clearTimeout(hiddenTimer);
	if (document.hidden) hiddenTimer = setTimeout(() => controller?.abort(), HIDDEN);
	else renew();
});
addEventListener("online", renew);

const newestFirst = (key) => (a, b) => (a[key] < b[key] ? 1 : a[key] > b[key] ? -1 : a.id < b.id ? 1 : -1);

const haystack = ({ id, name, session, command }) => `${id}\n${name}\n${session}\n${command.slice(0, 2000)}`.toLowerCase();

const MATCHES = { failed, succeeded: ({ succeeded }) => succeeded, unnotified: isOwed };

export function derive({ session, q, how }) {
	const needle = q.toLowerCase();
	const jobs = [...store.jobs.values()].filter((job) => (!session || job.session === session) && (!needle || haystack(job).includes(needle)));
	const ended = jobs.filter(({ state }) => state === "finished").sort(newestFirst("ended_at"));
	return {
		attention: attention(ended),
		running: jobs.filter(({ state }) => state !== "finished").sort(newestFirst("created_at")),
		finished: ended.filter(MATCHES[how] ?? (() => true)),
	};
}

const RANK = ["dead", "waiting", "undelivered", "lost", "failed"];

/** Each job is in at most one item. */
function attention(ended) {
	const at = Date.now();
	const recent = new Date(at - DAY).toISOString();
	const items = [];
	const rest = new Map(ended.map((job) => [job.id, job]));
	const add = (kind, key, jobs, wake) => {
		for (const { id } of jobs) rest.delete(id);
		items.push({ kind, key, jobs, wake, session: jobs[0].session });
	};
	for (const wake of store.wakes.values()) {
		const kind = wake.state === "dead" ? "dead" : wake.state === "scheduled" && (wake.last_error || wake.next_at) && "waiting";
		const owed = wake.jobs.map((id) => rest.get(id)).filter((job) => job && isOwed(job));
		if (kind && owed.length) add(kind, wake.id, owed, wake);
	}
	const groups = Map.groupBy(rest.values(), (job) => {
		const { state, last_error: error } = job.follow_up;
		if (state === "dead") return `dead\n${job.id}`;
		if (state === "pending" && Date.parse(job.ended_at) < at - NORMAL_DELAY) return `undelivered\n${job.session}\n${error}`;
		if (!failed(job) || job.ended_at < recent || dismissed.has(job.id)) return "";
		return `${job.outcome.kind === "lost" ? "lost" : "failed"}\n${job.id}`;
	});
	groups.delete("");
	for (const [key, jobs] of groups) add(key.split("\n")[0], key, jobs);
	return items.sort((a, b) => RANK.indexOf(a.kind) - RANK.indexOf(b.kind) || newestFirst("ended_at")(a.jobs[0], b.jobs[0]));
}

const DISMISSED = "homing.dismissed";
const dismissed = new Set(JSON.parse(localStorage.getItem(DISMISSED)));

export function dismiss(ids) {
	for (const id of ids) dismissed.add(id);
	localStorage.setItem(DISMISSED, JSON.stringify([...dismissed].slice(-1000)));
	changed();
}
