//! The findings of the doctor.

use std::io::Write;

use homing::{Check, Verdict};

use super::format::indented;
use super::style::{HINT, StatusStyle};
use crate::exit::Failure;

/// Prints one line per check, with a hint below it.
pub(crate) fn print_checks(checks: &[Check]) -> Result<(), Failure> {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut stdout = anstream::stdout().lock();
    for check in checks {
        let mark = match check.verdict {
            Verdict::Ok => '✓',
            Verdict::Note => '•',
            Verdict::Problem => '✗',
        };
        let style = StatusStyle::of_verdict(check.verdict).style();
        writeln!(stdout, "{style}{mark}{style:#} {:<width$}  {}", check.name, indented(&check.detail))?;
        if let Some(hint) = &check.hint {
            writeln!(stdout, "    {HINT}hint:{HINT:#} {}", indented(hint))?;
        }
    }
    Ok(stdout.flush()?)
}
