// Formats facts as short texts.

// Control, bidirectional and invisible characters.
const UNSAFE = /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

/** Untrusted text with these written out, as in [U+202E]. Keeps line breaks. */
export const visible = (text) => String(text ?? "").replace(/\r\n/g, "\n")
	.replace(UNSAFE, (c) => `[U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}]`);

export function oneLine(text, max = 300) {
	const raw = String(text ?? "");
	return visible((raw.length > max ? `${raw.slice(0, max)} …` : raw).trim()).replace(/[\n\t]+/g, " ↵ ");
}

export const title = (job) => oneLine(job.name || job.command);

export function duration(ms) {
	const s = Math.floor(Math.max(0, ms) / 1000);
	const pair = (large, x, small, y) => `${Math.floor(large)}${x}${Math.floor(small) ? ` ${Math.floor(small)}${y}` : ""}`;
	if (s < 1) return `${Math.max(0, Math.floor(ms))}ms`;
	if (s < 10 && ms % 1000 >= 100) return `${s}.${Math.floor((ms % 1000) / 100)}s`;
	if (s < 60) return `${s}s`;
	if (s < 3600) return pair(s / 60, "m", s % 60, "s");
	return s < 86400 ? pair(s / 3600, "h", (s % 3600) / 60, "m") : pair(s / 86400, "d", (s % 86400) / 3600, "h");
}

export const seconds = (ms) => duration(Math.max(0, Math.floor(ms / 1000) * 1000)).replace(/^0ms$/, "0s");

const largest = (ms) => duration(Math.max(0, ms)).replace(/ .*|\.\d+/g, "").replace(/^\d+ms$/, "0s");
export const ago = (time) => (Date.now() - new Date(time) < 1500 ? "now" : `${largest(Date.now() - new Date(time))} ago`);
export const ahead = (time) => (new Date(time) <= Date.now() ? "now" : `in ${largest(new Date(time) - Date.now())}`);
export const took = ({ duration_ms: ms }) => (ms === null ? "" : ` after ${duration(ms)}`);

export function parseDuration(text) {
	const given = text.trim().toLowerCase();
	if (given === "none") return 0;
	if (!/^(\d+|(\d+(\.\d+)?\s*(ms|s|m|h|d)\s*)+)$/.test(given)) return null;
	const unit = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 };
	let total = 0;
	for (const [, number, name] of given.matchAll(/([\d.]+)\s*(ms|s|m|h|d)?/g)) total += number * unit[name ?? "s"];
	return Math.round(total) || null;
}

export function bytes(count) {
	if (count < 1000) return plural(count, "byte");
	const power = Math.min(4, Math.floor(Math.log10(count * 1.0005) / 3));
	const value = count / 1000 ** power;
	return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${["", "kB", "MB", "GB", "TB"][power]}`;
}

export const grouped = (count) => Number(count).toLocaleString("en-US");
export const plural = (count, one) => `${grouped(count)} ${one}${count === 1 ? "" : one.endsWith("s") ? "es" : "s"}`;

const two = (n) => String(n).padStart(2, "0");
export const hour = (at) => `${two(new Date(at).getHours())}:${two(new Date(at).getMinutes())}`;
export const day = (at) => `${two(new Date(at).getMonth() + 1)}-${two(new Date(at).getDate())}`;

export function clock(time) {
	const at = new Date(time);
	const text = `${hour(at)}:${two(at.getSeconds())}`;
	return at.toDateString() === new Date().toDateString() ? text : `${at.getFullYear()}-${day(at)} ${text}`;
}

const KILLED_BY = { session: "its own session", operator: "an operator", outside: "a signal to its supervisor", service_manager: "the service manager" };
const LOST = {
	never_started: "it never started; the command did not run",
	supervisor_died: "its supervisor was killed before it recorded the outcome",
	reboot: "the machine stopped while the job was running",
	removed: "its directory was removed before it finished",
};

export function stateText({ state, outcome }) {
	if (state !== "finished") return state === "running" ? "Running" : "Starting";
	const { kind, exit_code: code, reason, signal } = outcome ?? {};
	if (kind === "exited") return code === 0 ? "Succeeded" : `Exit code ${code}${code > 0xffff ? ` (0x${code.toString(16).toUpperCase()})` : ""}`;
	if (kind === "signaled") return `Ended by signal ${oneLine(signal)}`;
	if (kind === "killed") return `Killed by ${KILLED_BY[reason] ?? oneLine(reason)}`;
	return { timed_out: "Stopped at its time limit", failed_to_start: "Failed to start", lost: "Lost" }[kind] ?? `Finished: ${oneLine(kind)}`;
}

export function stateReason({ outcome, recovery }) {
	const { kind, reason, error } = outcome ?? {};
	if (kind === "failed_to_start") return oneLine(error);
	return kind === "lost" ? `The end is not known: ${LOST[reason] ?? oneLine(reason)}.${recovery ? " Its processes may still run: homing recover." : ""}` : "";
}

export function stateClass({ state, succeeded, outcome }) {
	if (state !== "finished") return "active";
	if (succeeded) return "good";
	const { kind, reason } = outcome ?? {};
	if (kind === "lost") return "odd";
	return kind === "killed" && (reason === "session" || reason === "operator") ? "quiet" : "bad";
}

export const failed = (job) => ["bad", "odd"].includes(stateClass(job));

export const isOwed = ({ state, follow_up: follow }) => state === "finished" && ["pending", "handed_off", "dead"].includes(follow.state);

const NOT_NOTIFIED = {
	no_route: "no route leads from this session to a sink",
	no_monitor: "no monitor is running",
	no_sink_for_agent: "its sink notifies only a person",
	config_refused: "the configuration is not used",
};

export function undelivered({ follow_up: { last_error: error } }, { sinks, monitor }, prospect) {
	if (error) return oneLine(error);
	if (!sinks.length) return "no sink is configured";
	return NOT_NOTIFIED[prospect?.reason] ?? (monitor.active ? "" : NOT_NOTIFIED.no_monitor);
}

export function notified(job, server, prospect) {
	const { state, attempts, last_error: error } = job.follow_up;
	const reason = undelivered(job, server, prospect);
	const never = job.follow_up_policy === "never" && "the launch asked for no notification";
	if (state === "waiting") {
		if (!never && prospect?.will_be_notified) return `Will be notified through ${oneLine(prospect.sink, 60)}${prospect.reason ? ", at the latest after it is closed" : ""}`;
		return never || reason ? `Nobody will be notified: ${never || reason}` : "Will be notified at the end";
	}
	if (state === "pending") return reason ? `Not notified: ${reason}` : "Not notified yet";
	if (state === "handed_off") return "Handed off, not confirmed";
	if (state === "acknowledged") return attempts ? `${error ? "Acknowledged after" : "Notified by"} attempt ${attempts}` : "Read by the session";
	if (state === "dead") return `Not notified: gave up after ${plural(attempts, "attempt")}${error ? `: ${oneLine(error)}` : ""}`;
	if (job.follow_up_policy === "failure" && job.succeeded) return "Not notified: asked for on failure only";
	return `Not notified: ${never || (job.outcome?.reason === "session" ? "it killed the job itself" : "dropped")}`;
}

export const words = (name) => oneLine(name).replace(/_/g, " ").replace(/^./, (c) => c.toUpperCase());
