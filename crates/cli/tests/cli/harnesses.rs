//! The profiles of harnesses, the documentation and the help name the same harnesses.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use homing::harness::Profile;

use crate::setup::Setup;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// The profiles of harnesses that `homing setup` can configure.
fn with_setup() -> BTreeSet<String> {
    Profile::all().filter(|profile| profile.setup.is_ok()).map(|profile| profile.name.to_owned()).collect()
}

#[test]
fn the_help_of_setup_names_every_harness_with_a_setup() {
    let help = Setup::new().run(&["setup", "--help"]).stdout;
    let (_, values) = help.split_once("[possible values: ").expect("a list of harnesses");
    let (values, _) = values.split_once(']').expect("the end of the list");
    let listed: BTreeSet<String> = values.split(',').map(|name| name.trim().to_owned()).collect();
    assert_eq!(listed, with_setup());
}

#[test]
fn the_documentation_has_a_page_for_every_harness_with_a_setup() {
    let pages = std::fs::read_dir(docs().join("harnesses")).expect("a directory of pages");
    let pages = pages.map(|page| page.expect("a page").path());
    let named = |page: PathBuf| page.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
    assert_eq!(pages.map(named).collect::<BTreeSet<_>>(), with_setup());
    let text = std::fs::read_to_string(docs().join("harnesses.md")).expect("a page");
    for name in with_setup() {
        assert!(text.contains(&format!("](harnesses/{name}.md) |")), "{name} is missing in the first table");
    }
}

#[test]
fn the_documentation_names_every_preset() {
    let text = std::fs::read_to_string(docs().join("harnesses.md")).expect("a page");
    let (_, table) = text.split_once("## What is checked").expect("a section");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: BTreeSet<&str> = rows.map(|(name, _)| name).collect();
    assert_eq!(listed, Profile::all().map(|profile| profile.name).collect::<BTreeSet<_>>());
}
