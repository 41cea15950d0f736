//! What help shows last: examples, and the exit statuses where they say something.

pub(super) const ROUND_TRIP: &str = "\
The round trip:
  $ homing run 'cargo test'            returns at once
  3f9c0a1b2c4d
  $ homing wait 3f9c                   exits as the job did
  $ homing result 3f9c                 what the agent reads

Jobs are named by their id or any beginning of it that is unique. Durations are 90s, 2h, 1h30m.
Exit status: 1 failed, 2 usage, 3 no such job, 4 ambiguous job. With --json, errors are JSON too.
homing COMMAND --help shows examples.";

pub(super) const RUN: &str = "\
Examples:
  homing run 'make && make test'                  one word: a shell script
  homing run --timeout 2h -- cargo bench --quiet  several words: exact arguments, no shell
  homing run --wait 30s './deploy'                looks at it for 30 seconds, then lets it go on
  homing run --follow-up failure --name nightly ./nightly.sh
  homing run --key deploy-17 ./deploy             repeated, it answers with the same job

The session is --session, else $HOMING_SESSION, else what the agent harness exports, else \"default\". \
Where a sink is configured for it and no monitor is active, one is started in the background.

Standard output is the id of the job, alone. Exit status: 0 launched; 1 the command could not be \
started. With --wait: as the job did (see homing wait --help); 75 when DURATION is over first. \
SIGINT, SIGTERM and SIGHUP end the wait, not the job: 128+n.";

pub(super) const LIST: &str = "\
Examples:
  homing list
  homing list --state running
  homing list --session chat-1 --limit 0 --json

On a terminal it is a table; elsewhere the columns are separated by tabs.";

pub(super) const SHOW: &str = "\
Examples:
  homing show 3f9c
  homing show 3f9c --json";

pub(super) const OUTPUT: &str = "\
Examples:
  homing output 3f9c
  homing output 3f9c --follow
  homing output 3f9c --tail 2000
  homing output 3f9c --from 4096 --json           goes on at the \"next\" of the last document";

pub(super) const WAIT: &str = "\
Examples:
  homing wait 3f9c
  homing wait 3f9c 81d2 --timeout 10m
  homing wait --any 3f9c 81d2 --json

A job that is over counts as told to its session (--session, else $HOMING_SESSION, else what the \
agent harness exports, else \"default\"); the follow-up of another session's job stays pending.

Exit status for one job: its exit code; 128+n for signal n; 124 time limit reached; 125 killed, \
lost or failed to start. For several: 0 if all that are over succeeded, else 1. 75 when --timeout \
is over first. SIGINT, SIGTERM and SIGHUP end the wait, not the job: 128+n.";

pub(super) const RESULT: &str = "\
Examples:
  homing result 3f9c
  homing result 3f9c --json

A job that is over counts as told to its session (--session, else $HOMING_SESSION, else what the \
agent harness exports, else \"default\"). Exit status: 75 when the job is not over yet.";

pub(super) const KILL: &str = "\
Examples:
  homing kill 3f9c
  homing kill 3f9c 81d2 --json

SIGTERM, the job's grace time, SIGKILL; returns when nothing of the jobs is left. A supervisor that \
is stopped is continued, and one that cannot end its job is ended with it. A session that \
ends its own job (--session, else $HOMING_SESSION, else what the agent harness exports, else \
\"default\") is not told of it.";

pub(super) const FOLLOW_UPS: &str = "\
Examples:
  homing follow-ups
  homing follow-ups --session chat-1 --json
  homing follow-ups --state dead

NOTE says why the session was not told yet. homing show JOB lists every attempt.";

pub(super) const ACK: &str = "\
Examples:
  homing ack 3f9c
  homing ack 3f9c 81d2 --json

All of them, or where one is not over yet, none.";

pub(super) const RETRY: &str = "\
Examples:
  homing retry 3f9c
  homing retry 3f9c 81d2 --json

Dead and acknowledged ones too. All of them, or where one is not over yet, none.";

pub(super) const DROP: &str = "\
Examples:
  homing drop 3f9c
  homing drop 3f9c 81d2 --json

Of a job that still runs too: it goes on, and nobody is told of its end.";

pub(super) const MONITOR: &str = "\
Examples:
  homing monitor                                  wakes through the sinks that are configured
  homing monitor --command ./wake                 every session through one program, without a file
  homing monitor --command my-agent --resume {session}
  homing monitor --once                           tells what is due, and ends
  homing monitor install                          keeps it running, as a service of yours

The program gets the wake as JSON on standard input. Exit status 0: the agent was told; 75: it is busy; \
69: there is no such session; anything else: failed, tried again later. {session}, {wake} and {job} in \
its words stand for the session, the wake's id and the first job's id.

One monitor is active per home; a second waits and takes over. SIGTERM and Ctrl-C stop it: it takes up \
no more wakes and waits up to 30 s for programs at work; a second signal waits for none. What was not \
told stays due. Exit status: 0 when it was stopped.

Sinks and routes: https://github.com/homing-jobs/homing/blob/main/docs/waking.md";

pub(super) const MONITOR_INSTALL: &str = "\
Examples:
  homing monitor install
  homing monitor install --command my-agent --resume {session}

The service gets the PATH of now, and HOMING_HOME, HOMING_CONFIG and the XDG directories where they are \
set. Nothing is started: the commands for that are printed.";

pub(super) const MONITOR_UNINSTALL: &str = "\
Examples:
  systemctl --user disable --now homing-monitor && homing monitor uninstall
  homing monitor uninstall --json

Stop the service first, as the first example does; otherwise it runs until it is stopped.";

#[cfg(feature = "mcp")]
pub(super) const MCP: &str = "\
Examples:
  claude mcp add homing -- homing mcp             Claude Code has jobs from now on
  codex mcp add homing -- homing mcp              so has Codex
  homing mcp --http 8765                          at http://127.0.0.1:8765/mcp, for many
  homing mcp --session chat-1                     every job belongs to chat-1

The session is --session, else $HOMING_SESSION, else what the client sends with a request (Codex, goose, VS \
Code, or homing/session in _meta), else what the agent harness exports, else \"default\"; over HTTP nothing \
that a harness exports counts. A client sees the jobs of its own session only.

Standard output belongs to the protocol. Over HTTP clients show a token (Authorization: Bearer), which lies \
in the home as mcp.token, and requests by other names than those of this machine are refused.

Everything about it: https://github.com/homing-jobs/homing/blob/main/docs/mcp.md";

pub(super) const PRUNE: &str = "\
Examples:
  homing prune
  homing prune --older-than 1d

A job whose follow-up is open is never removed.";

pub(super) const RECOVER: &str = "\
Examples:
  homing recover
  homing recover --assume-gone        the host that ran them is gone for good

A running monitor does this by itself. Commands that read, such as list and wait, never do it.";

pub(super) const DOCTOR: &str = "\
Examples:
  homing doctor
  homing doctor --json
  homing doctor --wake chat-1                     sends a test wake the way real ones go
  homing doctor --wake 0199a-… --harness codex

Exit status: 1 where there is a problem.";

pub(super) const SETUP: &str = "\
Examples:
  homing setup claude-code                        shows what would change, in which files
  homing setup claude-code --write                changes it; a file that was there is kept beside
  homing setup claude-code --undo                 takes it back
  homing setup codex --scope project --write      only for the project in the current directory

It adds the MCP server, hooks that tell an open session how its jobs ended, and the route by which the \
monitor wakes one that is not open. What is there already stays as it is, comments too.

What each harness can do: https://github.com/homing-jobs/homing/blob/main/docs/harnesses.md";

pub(super) const COMPLETIONS: &str = "\
Examples:
  homing completions bash > ~/.local/share/bash-completion/completions/homing
  homing completions zsh > ~/.zfunc/_homing
  homing completions fish > ~/.config/fish/completions/homing.fish";

pub(super) const MAN: &str = "\
Examples:
  homing man | man -l -
  homing man ~/.local/share/man/man1";
