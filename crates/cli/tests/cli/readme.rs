//! The settings that docs/configuration.md lists are the defaults.

use homing::Config;

use crate::setup::Setup;

#[test]
fn the_documented_settings_are_the_defaults() {
    let page = include_str!("../../../../docs/configuration.md");
    let settings = page
        .split("```toml\n")
        .skip(1)
        .filter_map(|block| Some(block.split_once("```")?.0))
        .find(|block| block.starts_with("[defaults]"))
        .expect("a block with all settings");
    let setup = Setup::new();
    let path = setup.file("config.toml", settings);
    assert_eq!(Config::load_from(&path).unwrap(), Config::default());
}
