//! The first page of help: the commands in groups. clap lists subcommands in one piece only.

/// What `homing --help` shows above its options.
pub(super) fn template() -> String {
    let lines = TEMPLATE.split_inclusive('\n');
    lines.filter(|line| cfg!(feature = "mcp") || !line.starts_with("  mcp ")).collect()
}

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
    use crate::args::definition;

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
