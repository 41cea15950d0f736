//! Resolves hosts with ureq's resolver in a thread, within the timeout of the request. If no thread can be created,
//! the request fails; ureq's own resolver would panic.

use std::net::IpAddr;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::Builder;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::unversioned::transport::time::Duration;

/// Resolves hosts.
#[derive(Debug)]
pub(super) struct HostResolver;

impl Resolver for HostResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        // Without a timeout, ureq's resolver does not create a thread.
        let untimed = NextTimeout { after: Duration::NotHappening, ..timeout };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        if host.parse::<IpAddr>().is_ok() || timeout.after.is_not_happening() {
            return DefaultResolver::default().resolve(uri, config, untimed);
        }
        let (answer, answered) = sync_channel(1);
        let (uri, config) = (uri.clone(), config.clone());
        Builder::new().name("homing-resolve".to_owned()).spawn(move || {
            // Sending fails only if the request has timed out.
            let _ = answer.send(DefaultResolver::default().resolve(&uri, &config, untimed));
        })?;
        answered.recv_timeout(*timeout.after).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(Error::Timeout(timeout.reason)),
            RecvTimeoutError::Disconnected => Err(Error::HostNotFound),
        })
    }
}
