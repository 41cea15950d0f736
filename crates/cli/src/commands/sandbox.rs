//! Launches from the sandbox of an agent harness, which may end a job with the command that launches it, or protect the
//! home. The MCP server runs outside the sandbox.

use homing::harness::{ending_sandbox, is_active};
use homing::{Error, Hint, Origin};

use crate::exit::Failure;

/// Refuses to launch a job that would end with this command. `outlives` says whether the job should run on after it.
///
/// # Errors
/// If it should, and cannot.
pub(super) fn check(outlives: bool) -> Result<(), Failure> {
    // Only processes of a harness are in its sandbox.
    let sandbox = if outlives && is_active() { ending_sandbox() } else { None };
    match sandbox {
        None => Ok(()),
        Some(profile) => Err(Failure::Refused {
            code: "sandboxed",
            message: format!(
                "this shell runs in a sandbox of {} that ends every process when the tool call ends, so a background job \
                 would end too",
                profile.name
            ),
            hint: Some(format!(
                "{}; or run homing run --wait, which waits for the job",
                use_server(Some(profile.name))
            )),
        }),
    }
}

/// Points to the MCP server if a sandbox may be the reason why the home cannot be written: in another home, nobody would
/// find the job.
pub(super) fn explain(error: Error) -> Failure {
    if error.hint() != Some(Hint::UseWritableHome) || !is_active() {
        return error.into();
    }
    let harness = Origin::from_environment(None).ok().and_then(|origin| origin.harness);
    Failure::Refused {
        code: error.code(),
        message: error.to_string(),
        hint: Some(format!(
            "if a sandbox of the agent harness protects it, {}",
            use_server(harness.as_deref())
        )),
    }
}

fn use_server(harness: Option<&str>) -> String {
    format!(
        "call the MCP tool run_command, which runs outside the sandbox (homing setup {} --write adds it)",
        harness.unwrap_or("NAME")
    )
}
