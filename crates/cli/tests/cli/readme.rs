//! README.md is correct.

use homing::Config;

use crate::setup::Setup;

#[test]
fn the_settings_in_the_readme_are_the_defaults() {
    let readme = include_str!("../../../../README.md");
    let settings = readme
        .split("```toml\n")
        .skip(1)
        .filter_map(|block| Some(block.split_once("```")?.0))
        .find(|block| block.starts_with("[defaults]"))
        .expect("a block with all settings");
    let setup = Setup::new();
    let path = setup.file("config.toml", settings);
    assert_eq!(Config::load_from(&path).unwrap(), Config::default());
}
