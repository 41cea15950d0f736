//! `homing hook`: an agent harness calls, and hears what its session is to be told. Whatever goes wrong here must not
//! disturb the agent: it is said on standard error, and the harness hears that all is well.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use homing::{Homing, OpenOptions, Taker, Wake};

use crate::args::HookArgs;
use crate::exit::note;
use crate::hooks::{
    CLAUDE_CODE_ENTRYPOINT, Dialect, HookInput, Moment, Telling, Waiting, end_when_nobody_listens, is_shown,
    read_input,
};

/// What wakes an idle agent, where the hook's output does (`asyncRewake` of Claude Code).
const WAKES: u8 = 2;

/// How long a ledger that somebody else has locked is waited for.
const LEDGER_PATIENCE: Duration = Duration::from_secs(2);

/// How often, and with what pause, a harness that is just starting is asked which session it has open.
const STARTING_LOOKS: u32 = 20;
const STARTING_PAUSE: Duration = Duration::from_millis(100);

/// Answers a harness.
pub(super) fn hook(args: &HookArgs) -> ExitCode {
    answer(args).unwrap_or_else(|reason| {
        note(&format!("hook: {reason}"));
        ExitCode::SUCCESS
    })
}

/// What there is to say. An error is why nothing is said.
fn answer(args: &HookArgs) -> Result<ExitCode, String> {
    let Some(dialect) = Dialect::named(&args.harness) else {
        let known = Dialect::names().join(", ");
        return Err(format!("there are no hooks for {:?}; there are for {known}", args.harness));
    };
    let input = read_input(io::stdin().lock())?;
    let Some(moment) = dialect.moment(&input.event) else { return Ok(ExitCode::SUCCESS) };
    if moment == Moment::Start {
        return introduce(dialect, &input);
    }
    // The agent's turn ends only after us.
    let options = OpenOptions::new().busy_timeout(LEDGER_PATIENCE);
    // Where nothing was ever launched, there is nothing to say, and nothing is made either.
    let Some(homing) = options.open_existing().map_err(|error| error.to_string())? else {
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(refusal) = homing.config_refusal() {
        return Err(format!("{refusal}; {}", refusal.hint));
    }
    let taker = Taker { session: input.session.clone(), harness: dialect.name.to_owned() };
    if args.wait {
        return wait(&homing, dialect, &taker, &input);
    }
    let all_shown = confirm_shown(&homing, dialect, &input, moment)?;
    // Who was kept from stopping and has not had what it was kept for, is not kept again.
    let is_stuck = input.goes_on_already && !all_shown;
    if matches!(moment, Moment::Open | Moment::Shown) || input.was_broken_off || is_stuck {
        return Ok(ExitCode::SUCCESS);
    }
    let Some(wake) = homing.take_wake(&taker).map_err(|error| error.to_string())? else {
        return Ok(ExitCode::SUCCESS);
    };
    let text = say(dialect, &input, moment, &wake);
    show(&homing, &wake, &text, io::stdout())?;
    Ok(ExitCode::SUCCESS)
}

/// Confirms what the agent has had since it was taken; answers whether that is all of it.
fn confirm_shown(
    homing: &Homing,
    dialect: &Dialect,
    input: &HookInput,
    moment: Moment,
) -> Result<bool, String> {
    let mut all_shown = true;
    for wake in homing.taken_wakes(&input.session).map_err(|error| error.to_string())? {
        let shown = is_shown(&wake, input, moment, dialect.proof);
        all_shown &= shown;
        if shown {
            homing.confirm_wake(&wake).map_err(|error| error.to_string())?;
        }
    }
    Ok(all_shown)
}

/// Waits beside the session until a job of it is over.
fn wait(homing: &Homing, dialect: &Dialect, taker: &Taker, input: &HookInput) -> Result<ExitCode, String> {
    let (variable, terminal) = CLAUDE_CODE_ENTRYPOINT;
    let may_stay = match dialect.waiting {
        Waiting::Never => false,
        Waiting::WhileHeard => true,
        Waiting::WhileOpenInTerminal => std::env::var_os(variable).is_some_and(|entry| entry == terminal),
    };
    if !may_stay {
        return Ok(ExitCode::SUCCESS);
    }
    end_when_nobody_listens().map_err(|error| format!("cannot make a thread: {error}"))?;
    let may_take = || dialect.waiting == Waiting::WhileHeard || homing.is_open_here(taker);
    // A harness that is just starting says a little later which session it has open.
    let looks = if dialect.moment(&input.event) == Some(Moment::Open) { STARTING_LOOKS } else { 1 };
    let is_time = (0..looks).any(|look| {
        if look > 0 {
            std::thread::sleep(STARTING_PAUSE);
        }
        may_take()
    });
    if !is_time {
        return Ok(ExitCode::SUCCESS);
    }
    let Some(wake) = homing.wait_to_take(taker, may_take).map_err(|error| error.to_string())? else {
        return Ok(ExitCode::SUCCESS);
    };
    match dialect.waiting {
        Waiting::WhileOpenInTerminal => {
            show(homing, &wake, &wake.content.text, io::stderr())?;
            Ok(ExitCode::from(WAKES))
        }
        Waiting::Never | Waiting::WhileHeard => {
            show(homing, &wake, &say(dialect, input, Moment::Stop, &wake), io::stdout())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn say(dialect: &Dialect, input: &HookInput, moment: Moment, wake: &Wake) -> String {
    let (id, session) = (wake.id.to_string(), input.session.as_str());
    let telling = Telling { text: &wake.content.text, wake: Some(&id), session };
    (dialect.answer)(&input.event, moment, &telling).to_string()
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
fn introduce(dialect: &Dialect, input: &HookInput) -> Result<ExitCode, String> {
    let session = input.session.as_str();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if dialect.introduces && session.chars().all(is_plain) {
        let name = dialect.name;
        let text = format!(
            "For commands that take long: HOMING_SESSION={session} HOMING_HARNESS={name} homing run 'COMMAND' \
             runs one in the background, returns at once, and you are told how it ended."
        );
        let answer =
            (dialect.answer)(&input.event, Moment::Start, &Telling { text: &text, wake: None, session });
        writeln!(io::stdout(), "{answer}").map_err(|error| error.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}
