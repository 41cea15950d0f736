// The output of one job: a bounded window of rows, live, with colours and search.

import { Terminal } from "./ansi.js";
import { backOff, get, stream } from "./api.js";
import { announce, button, h, set, setText, show } from "./dom.js";
import { bytes, grouped, plural } from "./text.js";

const PIECE = 65_536;
const MAX_CHARS = 4e6;
const MAX_ROWS = 20_000;
const MAX_QUEUE = 1e6;
const BUDGET = 8;
const STEP = 4096;
/** The browser lays out only the blocks of rows that are visible (content-visibility). */
const BLOCK = 100;

const omission = (count, why) => ({ note: `… ${grouped(count)} bytes ${why} …` });

export class Output {
	constructor() {
		this.rows = h("div");
		this.live = h("div");
		this.earlier = button("Load earlier output", () => this.loadEarlier());
		this.note = h("p.note", `Only the last ${grouped(MAX_ROWS)} lines stay on this page. homing output prints all.`);
		this.screen = h("div.screen", { tabindex: 0, role: "region", "aria-label": "Output", onscroll: () => this.scrolled() }, this.earlier, this.note, this.rows, this.live);
		this.followButton = button("Follow", () => this.follow(!this.follows));
		this.search = h("input", {
			type: "search", placeholder: "Search", "aria-label": "Search the output",
			oninput: () => ((this.hit = null), this.step()), onkeydown: ({ key }) => key === "Enter" && this.step(),
		});
		this.found = h("span.faint", { role: "status" });
		this.size = h("span.size");
		this.element = h("div.output-view", h("div.toolbar", this.followButton, this.search, this.found, this.size), this.screen);
	}

	close() {
		this.controller?.abort();
		Object.assign(this, { job: null, terminal: new Terminal(), list: [], queue: [], queued: 0, chars: 0, first: 0, next: 0, total: 0, hit: null, block: null, lastTop: 0 });
		this.search.value = "";
		setText(this.found, "");
		this.rows.replaceChildren();
		this.live.replaceChildren();
		for (const each of [this.earlier, this.note]) show(each, false);
	}

	async open(job) {
		this.close();
		this.job = job;
		this.setFollows(true);
		try {
			const part = await get(`jobs/${job}/output`, { from: -PIECE, limit: PIECE });
			if (job !== this.job) return;
			this.first = this.next = part.from;
			this.take(part);
			if (!part.finished || part.next < part.total_bytes) await this.stream();
		} catch (error) {
			if (job === this.job) this.add({ note: `The output cannot be read: ${error.message}` });
		}
	}

	update({ state, output }) {
		this.isRunning = state !== "finished";
		this.sizes = output;
		this.setFollows(this.follows);
		this.drawSize();
	}

	setFollows(on) {
		this.follows = on;
		set(this.followButton, "aria-pressed", on);
		setText(this.followButton, on || !this.isRunning ? "Follow" : "Paused");
	}

	follow(on) {
		if (on === this.follows) return;
		this.setFollows(on);
		if (!on) return this.controller?.abort();
		this.toEnd();
		if (this.isRunning || this.next < this.total) this.stream();
	}

	scrolled() {
		const { scrollTop, scrollHeight, clientHeight } = this.screen;
		if (!this.isMoving && scrollTop < this.lastTop - 4 && scrollHeight - scrollTop - clientHeight > 8) this.follow(false);
		this.lastTop = scrollTop;
		this.isMoving = false;
	}

	toEnd() {
		this.isMoving = true;
		this.screen.scrollTop = this.screen.scrollHeight;
	}

	async stream() {
		this.controller?.abort();
		const { signal } = (this.controller = new AbortController());
		let failures = 0;
		let isEnded = false;
		const message = ({ event, data }) => {
			if (signal.aborted) return;
			failures = 0;
			isEnded = event === "end";
			if (event === "output") this.take(data);
		};
		while (!isEnded && !signal.aborted) {
			try {
				await stream(`jobs/${this.job}/output/live`, { query: { from: this.next }, signal, message });
			} catch (error) {
				if (error.status >= 400 && error.status < 500) return;
			}
			if (!isEnded && !signal.aborted) await new Promise((resume) => setTimeout(resume, backOff((failures += 1))));
		}
		if (isEnded) announce("The job has finished.");
	}

	// A part is drawn piece by piece, so that the page answers meanwhile.
	take({ from, next, total_bytes: total, omitted_bytes: omitted, text }) {
		if (from > this.next) this.queue.push(omission(from - this.next, "not loaded"));
		if (omitted) this.queue.push(omission(omitted, "omitted: overwritten by newer output or not stored"));
		for (let start = 0; start < text.length; start += STEP) this.queue.push({ text: text.slice(start, start + STEP) });
		Object.assign(this, { next, total, queued: this.queued + text.length });
		let skipped = 0;
		while (this.queued > MAX_QUEUE) {
			const { length } = this.queue.shift().text ?? "";
			this.queued -= length;
			skipped += length;
		}
		if (skipped) this.queue.unshift(omission(skipped, "skipped: the job writes faster than this page draws"));
		this.schedule();
	}

	schedule() {
		this.frame ||= requestAnimationFrame(() => {
			this.frame = 0;
			this.draw();
		});
	}

	draw() {
		const until = performance.now() + BUDGET;
		while (this.queue.length && performance.now() < until) {
			const piece = this.queue.shift();
			this.queued -= piece.text?.length ?? 0;
			for (const row of piece.note ? [piece] : this.terminal.feed(piece.text)) this.add(row);
		}
		const live = rowElement(this.terminal.current);
		show(live, live.textContent);
		this.live.replaceWith(live);
		this.live = live;
		while (this.chars > MAX_CHARS || this.list.length > MAX_ROWS) {
			const block = this.rows.firstElementChild;
			for (const row of this.list.splice(0, block.childElementCount)) this.chars -= row.textContent.length;
			block.remove();
			this.first = 0;
			show(this.note, true);
		}
		show(this.earlier, this.first > 0);
		if (this.follows) this.toEnd();
		this.drawSize();
		if (this.queue.length) this.schedule();
	}

	drawSize() {
		const { total_bytes: total = 0, omitted_bytes: omitted, dropped_bytes: dropped } = this.sizes ?? {};
		const written = Math.max(this.total, total);
		const parts = [written ? `${bytes(written)} written` : "no output", omitted && `${bytes(omitted)} overwritten by newer output`, dropped && `${bytes(dropped)} lost to a full disk`];
		setText(this.size, parts.filter(Boolean).join(" · "));
	}

	add(row) {
		if (!this.block || this.block.childElementCount >= BLOCK) this.rows.append((this.block = h("div.block")));
		const element = rowElement(row);
		this.block.append(element);
		this.list.push(element);
		this.chars += element.textContent.length;
	}

	async loadEarlier() {
		const { job, first } = this;
		const from = Math.max(0, first - PIECE);
		this.earlier.disabled = true;
		try {
			const { text, omitted_bytes: omitted } = await get(`jobs/${job}/output`, { from, limit: first - from });
			if (job !== this.job) return;
			this.follow(false);
			const terminal = new Terminal();
			const rows = terminal.feed(text);
			if (omitted) rows.push(omission(omitted, "omitted"));
			const elements = rows.map(rowElement);
			const height = this.screen.scrollHeight;
			// What was loaded before may begin in the middle of a line, whose start is our last row.
			this.list[0]?.prepend(...rowElement(terminal.current).childNodes);
			const blocks = [];
			for (let start = 0; start < elements.length; start += BLOCK) blocks.push(h("div.block", elements.slice(start, start + BLOCK)));
			this.rows.prepend(...blocks);
			this.list.unshift(...elements);
			this.chars += text.length;
			this.first = from;
			show(this.earlier, from > 0);
			this.screen.scrollTop += this.screen.scrollHeight - height;
		} catch (error) {
			announce(error.message);
		} finally {
			this.earlier.disabled = false;
		}
	}

	step() {
		const needle = this.search.value.toLowerCase();
		const rows = needle ? this.list.filter((row) => row.textContent.toLowerCase().includes(needle)) : [];
		const at = rows.indexOf(this.hit);
		const index = (at > 0 ? at : rows.length) - 1;
		this.hit?.classList.remove("hit");
		this.hit = rows[index];
		this.hit?.classList.add("hit");
		if (this.hit) this.follow(false);
		this.hit?.scrollIntoView({ block: "center" });
		const part = this.first > 0 ? ` in the last ${bytes(this.next - this.first)}` : "";
		setText(this.found, needle && `${rows.length ? `${index + 1} of ${plural(rows.length, "line")}` : "No match"}${part}`);
	}
}

/** Colours are styles of elements, never markup. */
function rowElement({ note, runs }) {
	if (note) return h("div.r.note", note);
	return h("div.r", runs.map(([text, { fg, bg, flags }]) => {
		if (!fg && !bg && !flags) return text;
		const span = h("span", text);
		span.className = `${flags.replace(/./g, "f$& ")}${fg ? "cx " : ""}${bg ? "bx" : ""}`;
		if (fg) span.style.setProperty("--c", fg);
		if (bg) span.style.setProperty("--b", bg);
		return span;
	}));
}
