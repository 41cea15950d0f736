//! Opens the page in a browser of this machine, with a code that the page exchanges for a token.

use std::process::{Command, Stdio};

use homing_supervisor::platform::paths::find_program;

use super::directory::Directory;
use crate::exit::Failure;

/// A page that leads to the link, in the directory of the server.
const FILE: &str = "open.html";

/// Programs that open a file in the browser of the user. The first one that exists is used.
const OPENERS: [&str; 4] = ["xdg-open", "wslview", "open", "explorer.exe"];

/// The link to the page. The code is behind the `#`: browsers do not send that part to servers, and it is in no log.
pub(super) fn link(url: &str, code: &str) -> String {
    format!("{url}/#code={code}")
}

/// Opens the link in a browser. Returns whether there is a program for it.
///
/// Arguments of programs are visible to other users, so the program is given a file that only this user can read, which leads
/// to the link.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn open_browser(directory: &Directory, link: &str) -> Result<bool, Failure> {
    let named = std::env::var_os("BROWSER").filter(|program| !program.is_empty());
    let program = named.map(Into::into).or_else(|| OPENERS.iter().find_map(|name| find_program(name)));
    let Some(program) = program else { return Ok(false) };
    directory.replace(FILE, &page(link))?;
    let mut command = Command::new::<std::path::PathBuf>(program);
    command.arg(directory.file(FILE)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut browser) = command.spawn() else { return Ok(false) };
    // Some browsers run until their last window is closed. Their end is waited for, so that no dead process remains.
    std::thread::spawn(move || browser.wait());
    Ok(true)
}

/// A page that leads to a link of this server, whose characters need no escapes.
fn page(link: &str) -> String {
    format!(
        "<!doctype html><meta charset=\"utf-8\"><meta name=\"referrer\" content=\"no-referrer\">\
         <meta http-equiv=\"refresh\" content=\"0; url={link}\"><title>homing</title>\
         <a href=\"{link}\">Open homing</a>\n"
    )
}
