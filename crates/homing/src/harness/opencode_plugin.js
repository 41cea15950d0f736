// Written by homing setup opencode; homing setup opencode --undo removes it.
// Exports the session id to the shell and to the tools of homing, and writes the results of background jobs into their session.

import { spawn } from "node:child_process"

const PROGRAM = "{program}"

// Calls homing with one document on standard input and returns the document that it prints.
function call(args, document) {
  return new Promise((resolve) => {
    const child = spawn(PROGRAM, ["hook", "opencode", ...args], { stdio: ["pipe", "pipe", "ignore"] })
    let output = ""
    child.stdout.on("data", (bytes) => (output += bytes))
    child.stdin.on("error", () => {})
    child.on("error", () => resolve(undefined))
    child.on("close", () => {
      try {
        resolve(JSON.parse(output))
      } catch {
        resolve(undefined)
      }
    })
    child.stdin.end(JSON.stringify(document))
  })
}

export const Homing = async ({ client }) => {
  // opencode run exits after its turn. homing resumes its session later, so the plugin does not wait.
  const isPersistent = process.argv[2] !== "run"
  const waiting = new Set()

  // The session that the user sees, also for sessions of subagents.
  async function root(id) {
    for (let depth = 0; depth < 16; depth++) {
      const { data } = await client.session.get({ path: { id } })
      if (!data?.parentID) return id
      id = data.parentID
    }
    return id
  }

  // Writes one wake after the other into the session, as long as its jobs run.
  async function follow(id) {
    if (waiting.has(id)) return
    waiting.add(id)
    try {
      for (;;) {
        const wake = await call(["--wait"], { hook_event_name: "session.idle", session_id: id })
        if (!wake?.text) return
        const { error } = await client.session.prompt({
          path: { id },
          body: { parts: [{ type: "text", text: wake.text }] },
        })
        // homing delivers an unconfirmed wake again.
        if (error) return
        await call([], { hook_event_name: "homing.shown", session_id: id, wake: wake.wake })
      }
    } finally {
      waiting.delete(id)
    }
  }

  return {
    "shell.env": async (input, output) => {
      if (!input.sessionID) return
      output.env.HOMING_SESSION = await root(input.sessionID)
      output.env.HOMING_HARNESS = "opencode"
    },
    // opencode does not tell MCP servers which session calls a tool.
    "tool.execute.before": async (input, output) => {
      if (!input.sessionID || !input.tool.startsWith("homing_") || !output.args) return
      output.args.homing_session = await root(input.sessionID)
    },
    event: async ({ event }) => {
      if (!isPersistent || event.type !== "session.idle") return
      const id = event.properties.sessionID
      // opencode waits for this handler, so follow() runs detached.
      root(id).then((root) => root === id && follow(id)).catch(() => {})
    },
  }
}
