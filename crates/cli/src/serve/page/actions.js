// What a user can do with one job, and with all that are selected.

import { post } from "./api.js";
import { $, announce, button, confirm, h, icon, setText, show, toast, toastProblem } from "./dom.js";
import { go } from "./route.js";
import { canChange, changed, dismiss, onChange, store, upsert } from "./store.js";
import { isOwed, plural, title } from "./text.js";

export const busy = new Map();

async function each(jobs, doing, one) {
	const answers = [];
	const queue = [...jobs];
	let problem;
	for (const { id } of jobs) busy.set(id, doing);
	changed();
	await Promise.all([1, 2, 3, 4].map(async () => {
		for (let job = queue.shift(); job; job = queue.shift()) {
			await one(job).then((answer) => answers.push(answer), (error) => (problem = error));
			busy.delete(job.id);
		}
	}));
	upsert(answers);
	if (problem) toastProblem(problem);
	return answers;
}

const nameOf = (jobs) => (jobs.length > 1 ? plural(jobs.length, "job") : title(jobs[0]));

export async function kill(jobs) {
	const detail = "homing asks all its processes to end, and kills them after the grace period.";
	if (!(await confirm(`Kill ${nameOf(jobs)}?`, detail, "Kill"))) return;
	const killed = await each(jobs, "Killing …", ({ id }) => post(`jobs/${id}/kill`, {}, 120_000));
	if (killed.length) announce(`Killed ${nameOf(killed)}`);
}

export async function rerun(jobs) {
	const isLost = jobs.some(({ outcome }) => outcome?.kind === "lost");
	const detail = isLost ? "Its end is not known. Check what it did first." : "";
	if ((isLost || jobs.length > 1) && !(await confirm(`Run ${nameOf(jobs)} again?`, detail, "Run again"))) return;
	const launched = await each(jobs, "Launching …", ({ id }) => post(`jobs/${id}/rerun`));
	if (launched.length) announce(`Launched ${nameOf(launched)}`);
	if (launched.length === 1) go({ job: launched[0].id, tab: "" });
}

const followUps = (verb, done) => async (jobs) => {
	const ids = jobs.map(({ id }) => id);
	try {
		for (let start = 0; start < ids.length; start += 500) upsert((await post(`follow-ups/${verb}`, { jobs: ids.slice(start, start + 500) })).jobs);
		if (verb !== "retry") dismiss(ids);
		toast(`${plural(ids.length, "result")} ${done}`);
	} catch (error) {
		toastProblem(error);
	}
};

export const acknowledge = followUps("acknowledge", "acknowledged.");
export const retry = followUps("retry", "will be delivered again.");
const drop = followUps("drop", "dropped. Retry takes this back.");

const isFinished = ({ state }) => state === "finished";

export const ACTIONS = [
	{ label: "Kill", run: kill, fits: (job) => !isFinished(job), style: ".danger" },
	{ label: "Run again", run: rerun, fits: isFinished },
	{ label: "Acknowledge", run: acknowledge, fits: isOwed },
	{ label: "Retry", run: retry, fits: isFinished },
	{ label: "Drop", run: drop, fits: isOwed },
];

export function actionButtons(jobsNow) {
	const buttons = ACTIONS.map(({ label, run, fits, style }) => ({ label, fits, element: button(label, () => run(jobsNow().filter(fits)), style) }));
	const draw = (jobs) => {
		for (const { label, fits, element } of buttons) {
			const count = jobs.filter(fits).length;
			setText(element, count < jobs.length ? `${label} ${count}` : label);
			show(element, count && canChange());
			element.disabled = jobs.every(({ id }) => busy.has(id));
		}
	};
	return { elements: buttons.map(({ element }) => element), draw };
}

export const selection = new Set();
const listeners = [];
export const onSelection = (listener) => listeners.push(listener);

export function select(ids, on) {
	for (const id of ids) on ? selection.add(id) : selection.delete(id);
	drawBulk();
	for (const listener of listeners) listener();
}

const selected = () => [...selection].map((id) => store.jobs.get(id)).filter(Boolean);
let buttons;

function drawBulk() {
	if (!buttons) {
		buttons = actionButtons(selected);
		$("bulk").append(h("b"), ...buttons.elements, button(icon("bad"), () => select([...selection], false), ".bare", { "aria-label": "Clear the selection" }));
	}
	const jobs = selected();
	setText($("bulk").firstChild, `${jobs.length} selected`);
	buttons.draw(jobs);
	show($("bulk"), jobs.length);
}

onChange(() => selection.size && drawBulk());
