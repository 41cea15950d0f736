//! The overview that `homing --help` shows: the commands in groups. clap can list subcommands only in one group.

/// The help template of `homing`. Leaves out commands that this build does not have.
pub(super) fn help_template() -> String {
    let lines = TEMPLATE.split_inclusive('\n');
    let is_built = |line: &&str| {
        (cfg!(feature = "mcp") || !line.starts_with("  mcp "))
            && (cfg!(feature = "serve") || !(line.starts_with("  serve ") || line.starts_with("  token ")))
            && (cfg!(feature = "top") || !line.starts_with("  top "))
    };
    lines.filter(is_built).collect()
}

/// The end of the overview.
pub(super) const QUICK_START: &str = "\
Quick start:
  $ homing run 'cargo test'            returns immediately
  3f9c0a1b2c4d
  $ homing wait 3f9c                   exits with the status of the job
  $ homing result 3f9c                 prints the result as the agent receives it

Refer to a job by its id, a unique prefix of at least 4 characters, its name, or \"last\". Write durations as 90s, 2h \
or 1h30m.
Also: ls and ps for list, logs for output, rm for remove.
Exit status: 1 failed, 2 usage error, 3 no such job, 4 ambiguous job id.
With --json, errors are JSON too.
Run homing COMMAND --help for examples.";

const TEMPLATE: &str = "\
{about}

{usage-heading} {usage}

Run and inspect:
  run          Run a command in the background and print the job id
  rerun        Launch the command of an earlier job again
  list         List jobs, newest first
  top          Show the jobs on the terminal, up to date, with keys that act on them
  show         Show the details of one job
  output       Print or follow the output of a job
  events       Print what happened to jobs, results and monitors

Results:
  wait         Wait for jobs to finish and exit with the status of the job
  listen       Wait for results of the session, print them and exit
  result       Print the result of a job as the agent receives it
  follow-ups   List jobs whose results are not acknowledged yet
  ack          Acknowledge results, so that they are not delivered again
  retry        Deliver results again
  drop         Stop the delivery of results
  monitor      Deliver results to their sessions until stopped

Stop and clean up:
  kill         Kill jobs and all processes they started
  remove       Delete single jobs that have finished and are acknowledged
  prune        Remove old jobs whose results are acknowledged
  recover      Clean up jobs whose supervisor died and record their outcome
  doctor       Check the installation and diagnose problems

Set up:
  mcp          Serve jobs to agents over the Model Context Protocol
  serve        Serve jobs over HTTP to hosts and to a web page
  token        Create, list and revoke access tokens of the HTTP server
  setup        Configure an agent harness for homing, or preview the changes
  setup-host   Copy this program to another machine that shall run jobs
  executors    List the other machines that run jobs
  completions  Print the completion script for a shell
  man          Print the manual page, or write all pages to a directory

Options:
{options}{after-help}
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::definition;

    #[test]
    fn the_overview_lists_every_command() {
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
    fn the_definition_is_valid() {
        definition().debug_assert();
    }
}
