//! Generates the description of the API from the routes, and compares it with `openapi.json`, which the server sends. To write
//! the file again, run the test with `HOMING_WRITE_OPENAPI=1`.

use std::path::Path;

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::{agents, browser, events, follow_ups, info, jobs, output, schema, sessions, wakes};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "homing",
        description = "Background jobs for AI agents, with results that reliably reach the agent.\n\nEvery request but those of the web page and the health checks has a token: `Authorization: Bearer TOKEN`. Errors are problems (RFC 9457). MCP is at `/mcp`. Documentation: https://github.com/homing-jobs/homing/blob/main/docs/http.md",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        jobs::launch, jobs::list, jobs::show, jobs::usage, jobs::wait, jobs::kill, jobs::rerun,
        output::read, output::live, output::result,
        follow_ups::list, follow_ups::acknowledge, follow_ups::retry, follow_ups::drop,
        wakes::list, wakes::of_job, wakes::claim, wakes::acknowledge, wakes::busy, wakes::failed,
        sessions::list,
        events::stream, events::poll,
        agents::list, agents::test_wake,
        info::server, info::doctor, info::config, info::openapi, info::metrics, info::healthz, info::readyz,
        browser::exchange,
    ),
    components(schemas(schema::Problem, schema::EventDocument)),
    modifiers(&Common),
    security(("token" = [])),
)]
struct Api;

/// What all routes have in common: the token, and problems.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut Document) {
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
                add_problem(operation);
            }
        }
    }
}

fn add_problem(operation: &mut Operation) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let problem = ResponseBuilder::new()
        .description("The request was refused or failed.")
        .content("application/problem+json", content)
        .build();
    operation.responses.responses.insert("default".to_owned(), RefOr::T(problem));
}

#[test]
fn the_description_is_that_of_the_routes() {
    let generated = Api::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("HOMING_WRITE_OPENAPI").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/serve/openapi.json");
        std::fs::write(path, &generated).unwrap();
        return;
    }
    assert!(
        generated == info::OPENAPI,
        "run this test with HOMING_WRITE_OPENAPI=1 to write openapi.json again"
    );
}

#[test]
fn every_operation_has_a_unique_name() {
    let document = Api::openapi();
    let mut names = Vec::new();
    for item in document.paths.paths.values() {
        names.extend(
            [&item.get, &item.post]
                .into_iter()
                .flatten()
                .map(|operation| operation.operation_id.clone().expect("each has one")),
        );
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}
