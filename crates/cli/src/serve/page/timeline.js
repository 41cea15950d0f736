// The day as a picture: a lane for each session, jobs as bars, attempts to notify as marks.

import { button, h, set, setText, svg } from "./dom.js";
import { go, route } from "./route.js";
import { clock, day, duration, failed, hour, oneLine, plural, stateClass, stateText, title } from "./text.js";

const HOUR = 3_600_000;
const SPANS = { "1h": HOUR, "6h": 6 * HOUR, "24h": 24 * HOUR };
const STEPS = [5, 15, 30, 60, 120, 240, 360].map((minutes) => minutes * 60_000);
const MAX_LANES = 8;
const MAX_ROWS = 3;
const BAR = 7;
const ROW = 9;
const TOP = 20;
const KEYS = [["good", "succeeded"], ["bad", "failed"], ["odd", "lost"], ["quiet", "killed"], ["active", "running"], ["mark.good", "notified"], ["mark.bad", "attempt failed"]];
const PACE = 1000;

export class Timeline {
	constructor() {
		this.picture = svg("svg.picture", {
			role: "img",
			onpointermove: (event) => this.point(this.find(event)),
			onpointerleave: () => this.point(),
			onclick: (event) => {
				const { job } = this.find(event) ?? {};
				if (job) go({ job: job.id, tab: "" });
			},
		});
		this.note = h("p.faint", { "aria-hidden": "true" });
		this.spans = Object.keys(SPANS).map((span) => button(span, () => go({ span }, true)));
		this.element = h("figure.timeline",
			h("div.legend", h("span.keys", { "aria-hidden": "true" }, KEYS.map(([kind, text]) => h(`span.key.${kind}`, h("i"), text))),
				h("div.segments", { role: "group", "aria-label": "Time span" }, this.spans)),
			this.picture, this.note);
		this.drawnAt = -PACE;
		new ResizeObserver(() => this.update(this)).observe(this.element);
	}

	update({ jobs, marks, isCut }) {
		Object.assign(this, { jobs, marks, isCut });
		this.timer ||= setTimeout(() => {
			this.timer = 0;
			this.drawnAt = performance.now();
			if (this.jobs && this.element.clientWidth) this.draw();
		}, Math.max(0, this.drawnAt + PACE - performance.now()));
	}

	draw() {
		const width = this.element.clientWidth - 32;
		const end = Date.now();
		const all = this.jobs.map((job) => ({ job, from: Date.parse(job.started_at ?? job.created_at), to: job.ended_at ? Date.parse(job.ended_at) : end }));
		const oldest = Math.min(...all.filter(({ to }) => to > end - 24 * HOUR).map(({ from }) => from));
		const span = SPANS[route.span] ? route.span : Object.keys(SPANS).find((each) => end - oldest <= SPANS[each]) ?? "24h";
		for (const each of this.spans) set(each, "aria-pressed", each.textContent === span);
		const start = end - SPANS[span];
		const seen = all.filter(({ to }) => to >= start);
		const isNarrow = width < 560;
		const left = isNarrow ? 0 : 130;
		const scale = (width - left - 8) / (end - start);
		const x = (time) => (left + (Math.max(time, start) - start) * scale).toFixed(1);
		this.timeAt = (pixel) => start + (pixel - left) / scale;
		this.slack = 4 / scale;
		const sessions = this.arrange(seen, isNarrow ? 13 : 0);
		const height = (this.lanes.at(-1)?.bottom ?? 40) + 4;
		set(this.picture, "viewBox", `0 0 ${width} ${height}`);
		set(this.picture, "height", height);

		const parts = [];
		const step = STEPS.find((each) => each * scale >= 56) ?? STEPS.at(-1);
		const midnight = new Date(start).setHours(0, 0, 0, 0);
		for (let at = midnight + Math.ceil((start - midnight) / step) * step; at <= end; at += step) {
			parts.push(svg("path.grid", { d: `M${x(at)} ${TOP - 4}V${height}` }));
			if (x(at) > left + 16 && x(at) < width - 16) parts.push(svg("text", { x: x(at), y: 11, "text-anchor": "middle" }, hour(at) === "00:00" ? day(at) : hour(at)));
		}
		for (const { session, bars, marks, top, barTop, markTop } of this.lanes) {
			parts.push(svg("path.grid", { d: `M0 ${top - 3.5}H${width}` }), svg("text.name", { x: 0, y: top + 8 }, oneLine(session, isNarrow ? 40 : 17)));
			// One path for all bars of a kind: as fast with 2,000 jobs as with 20.
			const paths = {};
			const draw = (kind, d) => (paths[kind] = (paths[kind] ?? "") + d);
			for (const { job, from, to, row } of bars) {
				const length = Math.max(2.5, x(to) - x(from)).toFixed(1);
				draw(stateClass(job), `M${x(from)} ${barTop + row * ROW}h${length}v${BAR}h-${length}z`);
			}
			for (const { at, kind } of marks) if (at >= start) draw(`mark.${kind}`, `M${x(at)} ${markTop}l3.5 6h-7z`);
			for (const [kind, d] of Object.entries(paths)) parts.push(svg(`path.bars.${kind}`, { d }));
		}
		this.picture.replaceChildren(...parts);
		set(this.picture, "aria-label", `Timeline of the last ${span}: ${plural(seen.length, "job")} in ${plural(sessions, "session")}, ${seen.filter(({ job }) => failed(job)).length} failed or lost.`);
		const notes = [
			!seen.length && `No job ran in the last ${span}.`,
			sessions > MAX_LANES && `${plural(sessions - MAX_LANES, "more session")} not drawn: choose a session to see it.`,
			this.isCut && "Only the newest 2,000 jobs are drawn.",
		];
		this.omitted = notes.filter(Boolean).join(" ") || "\u00a0";
		this.point();
	}

	arrange(seen, indent) {
		const sessions = Map.groupBy(seen, ({ job }) => job.session);
		const marks = Map.groupBy(this.marks.values(), ({ session }) => session);
		const latest = ([, bars]) => bars.reduce((most, { to }) => Math.max(most, to), 0);
		let top = TOP + 4;
		this.lanes = [...sessions].sort((a, b) => latest(b) - latest(a)).slice(0, MAX_LANES).map(([session, bars]) => {
			const free = [];
			for (const bar of bars.sort((a, b) => a.from - b.from)) {
				bar.row = free.findIndex((until) => until <= bar.from);
				if (bar.row < 0) bar.row = Math.min(free.length, MAX_ROWS - 1);
				free[bar.row] = Math.max(free[bar.row] ?? 0, bar.to);
			}
			const barTop = top + indent;
			const markTop = barTop + free.length * ROW;
			const lane = { session, bars, marks: marks.get(session) ?? [], top, barTop, markTop, bottom: markTop + 10 };
			top = lane.bottom + 4;
			return lane;
		});
		return sessions.size;
	}

	find({ clientX, clientY }) {
		const { left, top } = this.picture.getBoundingClientRect();
		const y = clientY - top;
		const time = this.timeAt(clientX - left);
		const lane = this.lanes.find((each) => y >= each.top && y <= each.bottom);
		const near = lane?.bars.filter(({ from, to }) => time >= from - this.slack && time <= to + this.slack);
		return near?.findLast(({ row }) => row === Math.floor((y - lane.barTop) / ROW)) ?? near?.at(-1);
	}

	point(bar) {
		this.picture.style.cursor = bar ? "pointer" : "";
		setText(this.note, bar ? `${title(bar.job)}: ${stateText(bar.job)}, ${duration(bar.to - bar.from)}, from ${clock(bar.from)}` : this.omitted);
	}
}
