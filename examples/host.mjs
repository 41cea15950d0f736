// A host that runs agents, in JavaScript with plain `fetch`: it launches a job for a chat, claims the wake when the job has
// finished, gives it to the agent, and acknowledges it. It survives a restart of the server, and of itself.
//
//     homing serve --listen &
//     export HOMING_URL=http://127.0.0.1:7464 HOMING_TOKEN=$(homing token create --scope session:chat-1)
//     node examples/host.mjs 'sleep 5; echo done'
//
// The types are generated from the description of the API: scripts/check-examples runs the TypeScript compiler over this file.
// @ts-check

import { randomUUID } from "node:crypto";

/** @typedef {import("./homing-api.js").components["schemas"]} Schemas */
/** @typedef {Schemas["Job"]} Job */
/** @typedef {Schemas["LeasedWake"]} LeasedWake */
/** @typedef {Schemas["Problem"]} Problem */

const BASE = process.env.HOMING_URL ?? "http://127.0.0.1:7464";
const TOKEN = process.env.HOMING_TOKEN ?? "";
/** How long a claim waits, in milliseconds. */
const WAIT_MS = 60_000;
/** How long the agent may take for its turn. After that the wake is delivered again. */
const LEASE_MS = 600_000;

/** An error that the server has answered. */
class ApiError extends Error {
	/** @param {Problem} problem */
	constructor(problem) {
		super(problem.hint ? `${problem.detail} (${problem.hint})` : problem.detail);
		this.status = problem.status;
		this.code = problem.code;
	}
}

/**
 * Sends a request until the server answers it: it may be restarted at any time. Each request of this host may be repeated.
 *
 * @param {string} path
 * @param {unknown} body
 * @param {Record<string, string>} [headers]
 * @returns {Promise<any>} the answer; null without content
 */
async function post(path, body, headers = {}) {
	for (let pause = 100; ; pause = Math.min(2 * pause, 5_000)) {
		try {
			const response = await fetch(`${BASE}/api/v1/${path}`, {
				method: "POST",
				headers: { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json", ...headers },
				body: JSON.stringify(body),
				signal: AbortSignal.timeout(WAIT_MS + 30_000),
			});
			if (response.status === 204) return null;
			if (response.ok) return await response.json();
			const problem = /** @type {Problem} */ (await response.json());
			if (response.status !== 503) throw new ApiError(problem);
		} catch (error) {
			if (error instanceof ApiError) throw error;
			// The server does not answer, or the connection broke.
		}
		await new Promise((resume) => setTimeout(resume, pause));
	}
}

/**
 * The turn of the agent. A real host resumes its chat with the text here.
 *
 * @param {LeasedWake} wake
 */
async function runTurn(wake) {
	console.log(wake.text);
}

/** @param {string} command */
async function main(command) {
	// The key makes the launch safe to repeat. A real host uses the id of the message that asks for the job.
	const key = process.env.HOMING_KEY ?? randomUUID();
	const job = /** @type {Job} */ (await post("jobs", { command }, { "Idempotency-Key": key }));
	console.log(`launched ${job.id}`);
	for (;;) {
		const wake = /** @type {LeasedWake | null} */ (await post("wakes/claim", { wait_ms: WAIT_MS, lease_ms: LEASE_MS }));
		if (!wake) continue;
		await runTurn(wake);
		try {
			await post(`wakes/${wake.id}/acknowledge`, { lease: wake.lease.id });
		} catch (error) {
			// The turn took too long: the wake comes again, under the same id.
			if (!(error instanceof ApiError && error.code === "lease_lost")) throw error;
			continue;
		}
		if (wake.jobs.some((finished) => finished.id === job.id)) return;
	}
}

const command = process.argv[2];
if (!command || !TOKEN) {
	console.error("usage: HOMING_URL=… HOMING_TOKEN=… node host.mjs COMMAND");
	process.exit(2);
}
await main(command);
