//! The first page of help: the commands in groups. clap lists subcommands in one piece only.

/// What `homing --help` shows above its options.
pub(super) fn help_template() -> String {
    let lines = TEMPLATE.split_inclusive('\n');
    lines.filter(|line| cfg!(feature = "mcp") || !line.starts_with("  mcp ")).collect()
}

/// What the first page of help shows last.
pub(super) const ROUND_TRIP: &str = "\
The round trip:
  $ homing run 'cargo test'            returns at once
  3f9c0a1b2c4d
  $ homing wait 3f9c                   exits as the job did
  $ homing result 3f9c                 what the agent reads

Jobs are named by their id or any beginning of it that is unique. Durations are 90s, 2h, 1h30m.
Exit status: 1 failed, 2 usage, 3 no such job, 4 ambiguous job. With --json, errors are JSON too.
homing COMMAND --help shows examples.";

const TEMPLATE: &str = "\
{about}

{usage-heading} {usage}

Launch and look:
  run          Launches a command in the background and prints the id of its job
  list         Lists jobs, newest first
  show         Shows everything about one job
  output       Prints what a job has written, or follows it

Hear of the end:
  wait         Waits until jobs are over, and exits as the job did
  result       Prints what the agent reads about a job
  follow-ups   Lists the jobs whose session still has to be told
  ack          Notes that the session was told of jobs
  retry        Makes follow-ups pending again
  drop         Gives follow-ups up: nobody is told
  monitor      Wakes the sessions whose jobs are over, until it is stopped

End and clean up:
  kill         Ends jobs with every process they started
  prune        Removes old jobs that nobody has to be told of
  recover      Ends what is left of jobs whose supervisor died, and records their end
  doctor       Checks that everything homing rests on is as it should be

Set up:
  mcp          Offers jobs to agents over the Model Context Protocol
  setup        Makes an agent harness know homing, or shows what that would change
  completions  Prints the completions for a shell
  man          Prints the manual page, or writes all of them to a directory

Options:
{options}{after-help}
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::definition;

    #[test]
    fn every_command_is_in_the_first_page_of_help() {
        for command in definition()
            .get_subcommands()
            .filter(|command| command.get_name() != "help" && !command.is_hide_set())
        {
            let about = command.get_about().unwrap();
            let line = format!("  {:<12} {about}\n", command.get_name());
            assert!(TEMPLATE.contains(&line), "missing: {line}");
        }
    }

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }
}
