//! `homing hook`: an agent harness calls, and hears what its session is to be told. Whatever goes wrong here must not
//! disturb the agent: it is said on standard error, and the harness hears that all is well.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use homing::{Claimant, Homing, OpenOptions, Wake};

use crate::exit::note;
use crate::hooks::{
    CLAUDE_CODE_ENTRYPOINT, HookEvent, HookInput, HookMessage, HookProtocol, Waiting,
    end_when_nobody_listens, is_shown, read_input,
};

/// Who calls.
#[derive(Debug, clap::Args)]
pub(crate) struct HookArgs {
    /// The agent harness
    harness: String,
    /// Stays until a job of the session is over
    #[arg(long)]
    wait: bool,
}

/// Reads the words of a call; `None` where somebody asks for help. Words that are not known are passed over: the
/// configuration may have been written by a later version.
pub(crate) fn parse(words: &[OsString]) -> Option<HookArgs> {
    let is = |word: &OsString, flag: &str| word.to_str() == Some(flag);
    if words.iter().any(|word| is(word, "--help") || is(word, "-h")) {
        return None;
    }
    let mut named = words.iter().filter_map(|word| word.to_str()).filter(|word| !word.starts_with('-'));
    let harness = named.next().unwrap_or_default().to_owned();
    Some(HookArgs { harness, wait: words.iter().any(|word| is(word, "--wait")) })
}

/// What wakes an idle agent, where the hook's output does (`asyncRewake` of Claude Code).
const WAKES: u8 = 2;

/// How long a ledger that somebody else has locked is waited for.
const LEDGER_TIMEOUT: Duration = Duration::from_secs(2);

/// How often, and with what pause, a harness that is just starting is asked which session it has open.
const STARTING_LOOKS: u32 = 20;
const STARTING_PAUSE: Duration = Duration::from_millis(100);

/// Answers a harness.
pub(crate) fn hook(args: &HookArgs) -> ExitCode {
    answer(args).unwrap_or_else(|reason| {
        note(&format!("hook: {reason}"));
        ExitCode::SUCCESS
    })
}

/// What there is to say. An error is why nothing is said.
fn answer(args: &HookArgs) -> Result<ExitCode, String> {
    let Some(protocol) = HookProtocol::named(&args.harness) else {
        let known = HookProtocol::names().join(", ");
        return Err(format!("there are no hooks for {:?}; there are for {known}", args.harness));
    };
    let input = read_input(io::stdin().lock())?;
    let Some(event_kind) = protocol.event_kind(&input.event) else { return Ok(ExitCode::SUCCESS) };
    if event_kind == HookEvent::Start {
        return introduce(protocol, &input);
    }
    // The agent's turn ends only after us.
    let options = OpenOptions::new().busy_timeout(LEDGER_TIMEOUT);
    // Where nothing was ever launched, there is nothing to say, and nothing is made either.
    let Some(homing) = options.open_existing().map_err(|error| error.to_string())? else {
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(refusal) = homing.config_refusal() {
        return Err(format!("{refusal}; {}", refusal.hint));
    }
    let claimant = Claimant { session: input.session.clone(), harness: protocol.name.to_owned() };
    if args.wait {
        return wait(&homing, protocol, &claimant, &input);
    }
    let all_shown = confirm_shown(&homing, protocol, &input, event_kind)?;
    // Who was kept from stopping and has not had what it was kept for, is not kept again.
    let is_stuck = input.stop_hook_active && !all_shown;
    if matches!(event_kind, HookEvent::Open | HookEvent::Shown) || input.was_broken_off || is_stuck {
        return Ok(ExitCode::SUCCESS);
    }
    let Some(wake) = homing.claim_wake(&claimant).map_err(|error| error.to_string())? else {
        return Ok(ExitCode::SUCCESS);
    };
    let text = say(protocol, &input, event_kind, &wake);
    show(&homing, &wake, &text, io::stdout())?;
    Ok(ExitCode::SUCCESS)
}

/// Confirms what the agent has had since it was taken; answers whether that is all of it.
fn confirm_shown(
    homing: &Homing,
    protocol: &HookProtocol,
    input: &HookInput,
    event_kind: HookEvent,
) -> Result<bool, String> {
    let mut all_shown = true;
    for wake in homing.claimed_wakes(&input.session).map_err(|error| error.to_string())? {
        let shown = is_shown(&wake, input, event_kind, protocol.proof);
        all_shown &= shown;
        if shown {
            homing.confirm_wake(&wake).map_err(|error| error.to_string())?;
        }
    }
    Ok(all_shown)
}

/// Waits beside the session until a job of it is over.
fn wait(
    homing: &Homing,
    protocol: &HookProtocol,
    claimant: &Claimant,
    input: &HookInput,
) -> Result<ExitCode, String> {
    let (variable, terminal) = CLAUDE_CODE_ENTRYPOINT;
    let may_stay = match protocol.waiting {
        Waiting::Never => false,
        Waiting::WhileHeard => true,
        Waiting::WhileOpenInTerminal => std::env::var_os(variable).is_some_and(|entry| entry == terminal),
    };
    if !may_stay {
        return Ok(ExitCode::SUCCESS);
    }
    end_when_nobody_listens().map_err(|error| format!("cannot make a thread: {error}"))?;
    let may_claim = || protocol.waiting == Waiting::WhileHeard || homing.is_open_here(claimant);
    // A harness that is just starting says a little later which session it has open.
    let looks = if protocol.event_kind(&input.event) == Some(HookEvent::Open) { STARTING_LOOKS } else { 1 };
    let is_time = (0..looks).any(|look| {
        if look > 0 {
            std::thread::sleep(STARTING_PAUSE);
        }
        may_claim()
    });
    if !is_time {
        return Ok(ExitCode::SUCCESS);
    }
    let Some(wake) = homing.wait_to_claim(claimant, may_claim).map_err(|error| error.to_string())? else {
        return Ok(ExitCode::SUCCESS);
    };
    match protocol.waiting {
        Waiting::WhileOpenInTerminal => {
            show(homing, &wake, &wake.content.text, io::stderr())?;
            Ok(ExitCode::from(WAKES))
        }
        Waiting::Never | Waiting::WhileHeard => {
            show(homing, &wake, &say(protocol, input, HookEvent::Stop, &wake), io::stdout())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn say(protocol: &HookProtocol, input: &HookInput, event_kind: HookEvent, wake: &Wake) -> String {
    let (id, session) = (wake.id.to_string(), input.session.as_str());
    let message = HookMessage { text: &wake.content.text, wake: Some(&id), session };
    (protocol.answer)(&input.event, event_kind, &message).to_string()
}

/// Gives a wake to the harness; where that fails, back.
fn show(homing: &Homing, wake: &Wake, text: &str, mut to: impl Write) -> Result<(), String> {
    let written = writeln!(to, "{text}").and_then(|()| to.flush());
    written.map_err(|error| {
        // Otherwise it is told again after a while.
        let _ = homing.give_back(wake);
        format!("nobody listens: {error}")
    })
}

/// Tells the agent how to launch jobs, where its shell does not know which session it is in.
fn introduce(protocol: &HookProtocol, input: &HookInput) -> Result<ExitCode, String> {
    let session = input.session.as_str();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if protocol.injects_session_hint && session.chars().all(is_plain) {
        let name = protocol.name;
        let text = format!(
            "For commands that take long: HOMING_SESSION={session} HOMING_HARNESS={name} homing run 'COMMAND' \
             runs one in the background, returns at once, and you are told how it ended."
        );
        let answer = (protocol.answer)(
            &input.event,
            HookEvent::Start,
            &HookMessage { text: &text, wake: None, session },
        );
        writeln!(io::stdout(), "{answer}").map_err(|error| error.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}
