//! The command sink: starts a program of the operator for each wake, without a shell. The exit status is the answer.

use std::path::PathBuf;
use std::time::Duration;

use homing_core::{Delivery, Wake};

use super::{Sink, SinkContext};
use crate::config::fill_template;
use crate::config::{CommandConfig, SinkInput};
use crate::process::exit::{Exit, SinkExit};
use crate::process::runner::Program;

/// Exit status for "try again later": `EX_TEMPFAIL` of sysexits(3).
const BUSY: i32 = 75;

/// Exit status for "session not found": `EX_UNAVAILABLE` of sysexits(3).
const GONE: i32 = 69;

/// Starts a program for each wake; its exit status is the answer.
pub(super) struct CommandSink {
    config: CommandConfig,
    timeout: Duration,
    home: PathBuf,
}

impl CommandSink {
    pub(super) fn new(config: &CommandConfig, timeout: Duration, context: &SinkContext<'_>) -> CommandSink {
        CommandSink { config: config.clone(), timeout, home: context.home.to_owned() }
    }
}

impl Sink for CommandSink {
    fn deliver(&self, wake: &Wake) -> Delivery {
        let argv = match fill_template(&self.config.argv, wake) {
            Ok(argv) => argv,
            // A later attempt cannot succeed: neither the session nor the command changes.
            Err(reason) => return Delivery::Gone { reason },
        };
        let input = match self.config.input {
            SinkInput::Json => wake.to_json(),
            SinkInput::Text => wake.content.text.clone(),
        };
        let program = Program {
            directory: self.config.directory.clone(),
            input: input.into_bytes(),
            ..Program::for_wake(argv, wake, &self.home, self.timeout)
        };
        match program.run() {
            Ok(ended) => delivery(&ended),
            Err(error) => Delivery::Failed { error: error.to_string() },
        }
    }
}

/// The answer of a program, by the convention of command sinks.
pub(super) fn delivery(ended: &SinkExit) -> Delivery {
    match ended.exit {
        Exit::Code(0) => Delivery::Delivered,
        Exit::Code(BUSY) => Delivery::Busy { retry_after: None, reason: ended.last_line() },
        Exit::Code(GONE) => Delivery::Gone { reason: ended.last_line() },
        Exit::Code(_) | Exit::Signal(_) | Exit::TimedOut { .. } => {
            Delivery::Failed { error: ended.description() }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::process::testing::{EndsAtDrop, wake};

    fn deliver(wake: &Wake, argv: &[&str], input: SinkInput) -> Delivery {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        let config = CommandConfig { argv, input, directory: None };
        let context = SinkContext { home: Path::new("/nowhere/home") };
        let _end = EndsAtDrop(wake.id);
        CommandSink::new(&config, Duration::from_secs(60), &context).deliver(wake)
    }

    fn answer(script: &str) -> Delivery {
        deliver(&wake("chat-1", ""), &["sh", "-c", script], SinkInput::Json)
    }

    fn failed(error: &str) -> Delivery {
        Delivery::Failed { error: error.to_owned() }
    }

    #[test]
    fn the_exit_status_is_the_answer() {
        let busy = |reason: &str| Delivery::Busy { retry_after: None, reason: reason.to_owned() };
        assert_eq!(answer("echo fine; exit 0"), Delivery::Delivered);
        assert_eq!(answer("exit 75"), busy("exit status 75"));
        assert_eq!(answer("echo a turn runs >&2; echo; exit 75"), busy("a turn runs"));
        assert_eq!(answer("exit 69"), Delivery::Gone { reason: "exit status 69".to_owned() });
        assert_eq!(answer("exit 3"), failed("exit status 3"));
        assert_eq!(answer("echo out; exit 3"), failed("exit status 3: out"));
        assert_eq!(
            answer("echo out; printf '\\033[31ma\\033[0m\\n\\nb\\n' >&2; exit 3"),
            failed("exit status 3: a | b")
        );
        assert_eq!(answer("kill -KILL $$"), failed("killed by SIGKILL"));
    }

    #[test]
    fn the_output_in_errors_is_bounded() {
        let Delivery::Failed { error } =
            answer("head -c 5000 /dev/zero | tr '\\0' x >&2; printf '\\nend\\n' >&2; exit 1")
        else {
            panic!("exit status 1 is a failure");
        };
        assert_eq!(error.chars().count(), "exit status 1: ".len() + 301);
        assert!(error.starts_with("exit status 1: …xx") && error.ends_with("xx | end"), "{error}");
    }

    #[test]
    fn the_program_reads_the_document_or_only_the_text() {
        let wake = wake("chat-1", &"words and \"quotes\"\n".repeat(10_000));
        let folder = tempfile::tempdir().unwrap();
        let read_by = |input| {
            let path = folder.path().join("input");
            let script = "cat > \"$0\" && test \"$1\" = chat-1";
            let argv = ["sh", "-c", script, path.to_str().unwrap(), "{session}"];
            assert_eq!(deliver(&wake, &argv, input), Delivery::Delivered);
            std::fs::read_to_string(path).unwrap()
        };
        assert!(read_by(SinkInput::Text) == wake.content.text);
        assert!(read_by(SinkInput::Json) == wake.to_json());
    }

    #[test]
    fn a_session_id_that_looks_like_an_option_is_gone() {
        let delivery = deliver(&wake("--help", ""), &["sh", "{session}"], SinkInput::Json);
        assert!(matches!(&delivery, Delivery::Gone { reason } if reason.contains("--help")), "{delivery:?}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_a_failure_that_names_it() {
        let delivery = deliver(&wake("chat-1", ""), &["homing-no-such-program"], SinkInput::Json);
        assert_eq!(
            delivery,
            failed("cannot start homing-no-such-program: No such file or directory (os error 2)")
        );
    }
}
