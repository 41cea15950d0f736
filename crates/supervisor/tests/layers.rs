//! Checks the order of the modules, and that only `platform` depends on the operating system.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module uses only modules before it, and itself.
const ORDER: [&str; 7] = ["names", "platform", "failpoints", "disk", "belongs", "supervise", "recover"];

/// What only `platform` may name.
const SYSTEM: [&str; 6] = ["rustix", "libc", "std::os", "target_os", "cfg(unix", "cfg(windows"];

/// The sources of a module without comments and tests, each with its path.
fn sources(module: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(module);
    let mut sources = Vec::new();
    let mut paths = if root.is_dir() { vec![root] } else { vec![root.with_extension("rs")] };
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(path).expect("a directory of sources");
            paths.extend(entries.map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code = code.lines().map(|line| line.split("//").next().unwrap_or_default());
        sources.push((path, code.collect::<Vec<_>>().join("\n")));
    }
    sources
}

#[test]
fn each_module_uses_only_modules_before_it() {
    let mut wrong = Vec::new();
    for (index, module) in ORDER.iter().enumerate() {
        for (path, code) in sources(module) {
            for (at, _) in code.match_indices("crate::") {
                let used =
                    code[at + "crate::".len()..].split(|c: char| !c.is_alphanumeric() && c != '_').next();
                let used = used.expect("split returns at least one part");
                if !ORDER[..=index].contains(&used) {
                    wrong.push(format!("{} uses {used}", path.display()));
                }
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn only_the_platform_depends_on_the_operating_system() {
    let mut wrong = Vec::new();
    for module in ORDER.iter().filter(|module| **module != "platform") {
        for (path, code) in sources(module) {
            let named = SYSTEM.iter().filter(|name| code.contains(**name));
            wrong.extend(named.map(|name| format!("{} names {name}", path.display())));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn every_module_is_in_the_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let entries = fs::read_dir(root).expect("the sources");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .filter(|name| name != "lib")
        .collect();
    names.sort();
    let mut order = ORDER.map(str::to_owned);
    order.sort();
    assert_eq!(names, order);
}
