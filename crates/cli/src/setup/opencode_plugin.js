// Written by homing setup opencode; homing setup opencode --undo removes it.
// Tells the shell which session it is in, and writes into a session how its background jobs ended.

import { spawn } from "node:child_process"

const PROGRAM = "homing"

// Calls homing with one document, and returns the one it answers with.
function call(words, document, keep) {
  return new Promise((resolve) => {
    const child = spawn(PROGRAM, ["hook", "opencode", ...words], { stdio: ["pipe", "pipe", "ignore"] })
    let said = ""
    keep?.(child)
    child.stdout.on("data", (bytes) => (said += bytes))
    child.stdin.on("error", () => {})
    child.on("error", () => resolve(undefined))
    child.on("close", () => {
      try {
        resolve(JSON.parse(said))
      } catch {
        resolve(undefined)
      }
    })
    child.stdin.end(JSON.stringify(document))
  })
}

export const Homing = async ({ client }) => {
  // opencode run ends with its turn: nothing could be written into its session after that, and homing resumes it.
  const stays = process.argv[2] !== "run"
  const waiting = new Set()

  // The session that the user sees: those of subagents are heard of by nobody.
  async function root(id) {
    for (let depth = 0; depth < 16; depth++) {
      const { data } = await client.session.get({ path: { id } })
      if (!data?.parentID) return id
      id = data.parentID
    }
    return id
  }

  // Writes what there is to tell, one wake after the other, for as long as jobs of the session run.
  async function follow(id) {
    if (waiting.has(id)) return
    waiting.add(id)
    try {
      for (;;) {
        const told = await call(["--wait"], { hook_event_name: "session.idle", session_id: id })
        if (!told?.text) return
        const { error } = await client.session.prompt({
          path: { id },
          body: { parts: [{ type: "text", text: told.text }] },
        })
        // Not confirmed, it is told again.
        if (error) return
        await call([], { hook_event_name: "homing.shown", session_id: id, wake: told.wake })
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
    event: async ({ event }) => {
      if (!stays || event.type !== "session.idle") return
      const id = event.properties.sessionID
      // Nobody waits for this.
      root(id).then((root) => root === id && follow(id)).catch(() => {})
    },
  }
}
