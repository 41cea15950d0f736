//! Finds the sink that wakes a session.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use homing_core::{Job, SessionId};

use crate::Result;
use crate::config::{Config, RouteConfig, SinkKind};
use crate::delivery::sinks::{Sink, SinkContext, from_config};
use crate::harness::{Profile, preset_names};

/// The sinks and the routes to them.
#[derive(Clone)]
pub(crate) struct Router {
    sinks: BTreeMap<String, Arc<dyn Sink>>,
    /// Presets that are not configured, for jobs that name them.
    presets: BTreeMap<String, Arc<dyn Sink>>,
    routes: Vec<RouteConfig>,
}

/// Whether a job has a route to a sink, by the configuration alone.
pub(crate) fn has_route(config: &Config, addressee: Addressee<'_>) -> bool {
    sink_of(config, addressee).is_some()
}

/// Whether a sink reaches the agent itself, not only a person.
pub(crate) fn reaches_agent(config: &Config, sink: &str) -> bool {
    config.sink(sink).is_some_and(|sink| !matches!(sink.kind, SinkKind::Desktop | SinkKind::Ntfy(_)))
}

/// The sink of the first matching route.
pub(crate) fn sink_of(config: &Config, addressee: Addressee<'_>) -> Option<String> {
    let fits = |route: &RouteConfig| route.matches(addressee.session, addressee.harness);
    match addressee.sink {
        Some(named) => config.sink(named).map(|_| named.to_owned()),
        None => config.routes.iter().cloned().chain(agent_routes(config)).find(fits).map(|route| route.sink),
    }
}

/// The routes of `agents`. They come last.
fn agent_routes(config: &Config) -> impl Iterator<Item = RouteConfig> {
    config.agents.iter().flat_map(|agent| preset_route(agent))
}

/// The routes of `agents = ["name"]`: one for sessions of that harness, and one for ids that only it creates.
pub(crate) fn preset_route(name: &str) -> Vec<RouteConfig> {
    let route = |session, harness| RouteConfig { session, harness, sink: name.to_owned() };
    let by_id = Profile::named(name).and_then(|profile| profile.preset().sessions.clone());
    let by_harness = route(None, Some(name.to_owned()));
    [by_harness].into_iter().chain(by_id.map(|sessions| route(Some(sessions), None))).collect()
}

/// The properties of a job that routes match.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addressee<'a> {
    pub(crate) session: &'a SessionId,
    /// The harness from which the job was launched.
    pub(crate) harness: Option<&'a str>,
    /// The sink that the job names.
    pub(crate) sink: Option<&'a str>,
}

impl Addressee<'_> {
    /// The addressee of a job's result.
    pub(crate) fn of(job: &Job) -> Addressee<'_> {
        Addressee { session: &job.session, harness: job.harness.as_deref(), sink: job.sink.as_deref() }
    }
}

impl Router {
    /// The sinks and routes of a configuration; those of `agents` come last.
    ///
    /// # Errors
    /// If a sink cannot be created.
    pub(crate) fn from_config(config: &Config, home: &Path) -> Result<Router> {
        let mut router =
            Router { sinks: BTreeMap::new(), presets: BTreeMap::new(), routes: config.routes.clone() };
        for name in config.sink_names() {
            if let Some(sink) = config.sink(name) {
                router.sinks.insert(name.to_owned(), from_config(&sink, &SinkContext { home })?);
            }
        }
        for name in preset_names().filter(|name| !router.sinks.contains_key(*name)) {
            // A preset that needs settings exists only if it has them.
            if let Some(sink) = config.sink(name)
                && let Ok(preset) = from_config(&sink, &SinkContext { home })
            {
                router.presets.insert(name.to_owned(), preset);
            }
        }
        router.routes.extend(agent_routes(config));
        Ok(router)
    }

    /// Adds a sink of the host. It replaces a configured sink of the same name.
    pub(crate) fn add_sink(&mut self, name: &str, sink: Arc<dyn Sink>) {
        self.sinks.insert(name.to_owned(), sink);
    }

    /// Adds a route before all others.
    pub(crate) fn add_route(&mut self, route: RouteConfig) {
        self.routes.insert(0, route);
    }

    /// The name and the sink for an addressee.
    ///
    /// # Errors
    /// The reason, for people, if no route matches.
    pub(crate) fn sink_for(&self, addressee: Addressee<'_>) -> Result<(&str, &Arc<dyn Sink>), String> {
        let name = match addressee.sink {
            Some(named) => named,
            None => {
                let route =
                    self.routes.iter().find(|route| route.matches(addressee.session, addressee.harness));
                &route.ok_or_else(|| self.no_route())?.sink
            }
        };
        let found = self.sinks.get_key_value(name).or_else(|| self.presets.get_key_value(name));
        found
            .map(|(name, sink)| (name.as_str(), sink))
            .ok_or_else(|| format!("the sink {name:?} is not configured"))
    }

    /// The sink of that name, if it still exists.
    pub(crate) fn sink(&self, name: &str) -> Option<&Arc<dyn Sink>> {
        self.sinks.get(name).or_else(|| self.presets.get(name))
    }

    fn no_route(&self) -> String {
        if self.sinks.is_empty() { "no sink is configured" } else { "no route matches this session" }
            .to_owned()
    }
}
