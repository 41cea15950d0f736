//! The MCP server as its clients see it: driven by a real client over both transports and both revisions of the
//! protocol.

mod arguments;
mod broken;
mod client;
mod disappearance;
mod events;
mod http;
mod interruption;
mod many;
mod python;
mod raw;
mod schemas;
mod server;
mod sessions;
mod task_notifications;
mod tasks;
mod tools;
mod untrusted;
mod wakes;
