//! `homing hook`: answers a hook of an agent harness with the results of its session. Errors must not disturb the
//! agent: they go to standard error, and the hook still succeeds. That includes usage errors, because for a harness
//! exit status 2 means that the agent must not stop.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use homing::harness::{
    HookEvent, HookInput, HookMessage, HookProtocol, Profile, ShellSession, Terminal, Waiting,
};
use homing::{Claimant, Homing, OpenOptions, Wake};

use crate::hooks::{exit_on_disconnect, is_seen, read_input};
use crate::render::note;

/// Which harness calls, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct HookArgs {
    /// Agent harness
    harness: String,
    /// Wait until a job of the session finishes
    #[arg(long)]
    wait: bool,
}

/// Parses the arguments of a call; `None` if they ask for help. Ignores unknown arguments, because a later version
/// may have written the configuration of the harness.
pub(crate) fn parse(words: &[OsString]) -> Option<HookArgs> {
    let is = |word: &OsString, flag: &str| word.to_str() == Some(flag);
    if words.iter().any(|word| is(word, "--help") || is(word, "-h")) {
        return None;
    }
    let mut positional = words.iter().filter_map(|word| word.to_str()).filter(|word| !word.starts_with('-'));
    let harness = positional.next().unwrap_or_default().to_owned();
    Some(HookArgs { harness, wait: words.iter().any(|word| is(word, "--wait")) })
}

/// Busy timeout of the ledger.
const LEDGER_TIMEOUT: Duration = Duration::from_secs(2);

/// Number and interval of the checks for the open session while a harness starts.
const STARTUP_CHECKS: u32 = 20;
const STARTUP_INTERVAL: Duration = Duration::from_millis(100);

/// Answers a hook.
pub(crate) fn hook(args: &HookArgs) -> ExitCode {
    answer(args).unwrap_or_else(|reason| {
        note(&format!("hook: {reason}"));
        ExitCode::SUCCESS
    })
}

/// Writes the answer. An error is the reason why nothing was written.
fn answer(args: &HookArgs) -> Result<ExitCode, String> {
    let profile = Profile::named(&args.harness);
    let Some((profile, protocol)) = profile.and_then(|it| Some((it, it.hooks.as_ref().ok()?))) else {
        return Err(format!("no hooks for {:?}; supported harnesses: {}", args.harness, supported()));
    };
    let input = read_input(protocol, io::stdin().lock())?;
    let Some(event_kind) = protocol.event_kind(&input.event) else { return Ok(ExitCode::SUCCESS) };
    if event_kind == HookEvent::Start {
        return send_session_hint(profile, protocol, &input);
    }
    if event_kind == HookEvent::Tool {
        let message = HookMessage {
            text: "",
            wake: None,
            session: input.session.as_str(),
            tool_input: input.tool_input.as_ref(),
        };
        let answer = protocol.answer(&input.event, event_kind, &message);
        writeln!(io::stdout(), "{answer}").map_err(|error| error.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    // The turn of the agent does not end before this hook returns, so wait only briefly.
    let options = OpenOptions::new().busy_timeout(LEDGER_TIMEOUT);
    // Without a home there are no jobs; do not create one.
    let Some(homing) = options.open_existing().map_err(|error| error.to_string())? else {
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(refusal) = homing.config_refusal() {
        return Err(format!("{refusal}; {}", refusal.hint));
    }
    let claimant = Claimant { session: input.session.clone(), harness: Some(profile.name.to_owned()) };
    if args.wait {
        return wait(&homing, protocol, &claimant, &input);
    }
    let all_seen = confirm_seen(&homing, protocol, &input, event_kind)?;
    // Do not block the agent again if it was blocked before and the result still did not reach it.
    let is_stuck = input.stop_hook_active && !all_seen;
    if matches!(event_kind, HookEvent::Open | HookEvent::Seen) || input.was_aborted || is_stuck {
        return Ok(ExitCode::SUCCESS);
    }
    let Some(wake) = homing.claim_wake(&claimant).map_err(|error| error.to_string())? else {
        return Ok(ExitCode::SUCCESS);
    };
    let text = format_answer(protocol, &input, event_kind, &wake);
    write_wake(&homing, &wake, &text, io::stdout())?;
    Ok(ExitCode::SUCCESS)
}

/// The names of the harnesses that have hooks, sorted.
fn supported() -> String {
    let with_hooks = Profile::all().filter(|profile| profile.hooks.is_ok());
    let mut names: Vec<&str> = with_hooks.map(|profile| profile.name).collect();
    names.sort_unstable();
    names.join(", ")
}

/// Confirms the claimed wakes that the agent has received. Returns whether it has received all of them.
fn confirm_seen(
    homing: &Homing,
    protocol: &HookProtocol,
    input: &HookInput,
    event_kind: HookEvent,
) -> Result<bool, String> {
    let mut all_seen = true;
    for wake in homing.claimed_wakes(&input.session).map_err(|error| error.to_string())? {
        let seen = is_seen(&wake, input, event_kind, protocol.proof);
        all_seen &= seen;
        if seen {
            homing.confirm_wake(&wake).map_err(|error| error.to_string())?;
        }
    }
    Ok(all_seen)
}

/// Waits in the background of the session until one of its jobs finishes.
fn wait(
    homing: &Homing,
    protocol: &HookProtocol,
    claimant: &Claimant,
    input: &HookInput,
) -> Result<ExitCode, String> {
    let may_wait = match protocol.waiting {
        Waiting::Never => false,
        Waiting::WhileConnected => true,
        Waiting::WhileOpenInTerminal { terminal: Terminal { variable, value }, .. } => {
            std::env::var_os(variable).is_some_and(|found| found == value)
        }
    };
    if !may_wait {
        return Ok(ExitCode::SUCCESS);
    }
    exit_on_disconnect().map_err(|error| format!("cannot start a thread: {error}"))?;
    let may_claim = || protocol.waiting == Waiting::WhileConnected || homing.is_open_here(claimant);
    // A starting harness reports its open session a little later.
    let checks = if protocol.event_kind(&input.event) == Some(HookEvent::Open) { STARTUP_CHECKS } else { 1 };
    let is_open = (0..checks).any(|check| {
        if check > 0 {
            std::thread::sleep(STARTUP_INTERVAL);
        }
        may_claim()
    });
    if !is_open {
        return Ok(ExitCode::SUCCESS);
    }
    let Some(wake) = homing.wait_to_claim(claimant, may_claim).map_err(|error| error.to_string())? else {
        return Ok(ExitCode::SUCCESS);
    };
    match protocol.waiting {
        Waiting::WhileOpenInTerminal { exit_status, .. } => {
            write_wake(homing, &wake, &wake.content.text, io::stderr())?;
            Ok(ExitCode::from(exit_status))
        }
        Waiting::Never | Waiting::WhileConnected => {
            write_wake(homing, &wake, &format_answer(protocol, input, HookEvent::Stop, &wake), io::stdout())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn format_answer(protocol: &HookProtocol, input: &HookInput, event_kind: HookEvent, wake: &Wake) -> String {
    let (id, session) = (wake.id.to_string(), input.session.as_str());
    let message = HookMessage { text: &wake.content.text, wake: Some(&id), session, tool_input: None };
    protocol.answer(&input.event, event_kind, &message)
}

/// Writes a wake to the harness. On failure, releases the wake.
fn write_wake(homing: &Homing, wake: &Wake, text: &str, mut to: impl Write) -> Result<(), String> {
    let written = writeln!(to, "{text}").and_then(|()| to.flush());
    written.map_err(|error| {
        // If this fails too, the wake is delivered again after its lease expires.
        let _ = homing.give_back(wake);
        format!("cannot write to the harness: {error}")
    })
}

/// Explains to the agent how to launch jobs, if the harness does not export the session to its shell.
fn send_session_hint(
    profile: &Profile,
    protocol: &HookProtocol,
    input: &HookInput,
) -> Result<ExitCode, String> {
    let session = input.session.as_str();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if profile.session.shell == ShellSession::Hint && session.chars().all(is_plain) {
        let name = profile.name;
        let text = format!(
            "To run a long command in the background: HOMING_SESSION={session} HOMING_HARNESS={name} \
             homing run 'COMMAND'. It returns immediately, and you receive the result when the command finishes."
        );
        let message = HookMessage { text: &text, wake: None, session, tool_input: None };
        let answer = protocol.answer(&input.event, HookEvent::Start, &message);
        writeln!(io::stdout(), "{answer}").map_err(|error| error.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}
