//! Checks the structure of the sources, in code that is not for tests: no file of a crate needs a file that needs it,
//! every part of a crate uses only parts that stand before it, and only the platform module depends on the operating
//! system.
//!
//! Uses are `use` declarations and paths that begin with `crate`, `self` or `super`; `mod` and `pub use` lines do not
//! count. A name that the crate's root exports again counts as its own module.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module, as the names on its path; a crate's root is the empty path.
type Module = Vec<String>;

/// Which modules each module uses.
type Graph = BTreeMap<Module, BTreeSet<Module>>;

const CRATES: [&str; 6] = ["core", "supervisor", "homing", "cli", "python", "testkit"];

/// The parts of each crate, lowest first.
const PARTS: [(&str, &[&str]); 3] = [
    ("supervisor", &["names", "platform", "failpoints", "disk", "belongs", "usage", "supervise", "recover"]),
    (
        "homing",
        &[
            "hint",
            "error",
            "check",
            "harness",
            "actor",
            "config",
            "store",
            "framing",
            "ledger",
            "context",
            "executor",
            "index",
            "events",
            "jobs",
            "mirror",
            "process",
            "delivery",
            "doctor",
            "asynchronous",
            "job_handle",
            "homing",
            "entry",
        ],
    ),
    (
        "cli",
        &[
            "exit",
            "local_time",
            "complete",
            "values",
            "interrupt",
            "render",
            "open",
            "setup",
            "service",
            "hooks",
            "server",
            "mcp",
            "serve",
            "top",
            "commands",
            "cli",
        ],
    ),
];

/// The module that depends on the operating system. All other code uses it.
const PLATFORM: (&str, &str) = ("supervisor", "platform");

/// Words that only the platform module may contain. Also `std::os`, and conditions such as `cfg(unix)`.
const SYSTEM_WORDS: [&str; 5] = ["rustix", "libc", "nix", "target_os", "target_family"];

/// The most files in which the façade of the library is implemented.
const MAX_FACADE_FILES: usize = 4;

#[test]
fn every_part_uses_only_parts_below_it() {
    for (name, parts) in PARTS {
        let graph = graph(name);
        let rank = |module: &Module| {
            let part = &module[0];
            let rank = parts.iter().position(|known| known == part);
            rank.unwrap_or_else(|| panic!("add {part} of crates/{name}/src to PARTS"))
        };
        let upward: Vec<String> = graph
            .iter()
            .filter(|(module, _)| !module.is_empty())
            .flat_map(|(module, used)| used.iter().map(move |used| (module, used)))
            .filter(|(module, used)| rank(used) > rank(module))
            .map(|(module, used)| format!("{} uses {}", module.join("::"), used.join("::")))
            .collect();
        assert!(upward.is_empty(), "upward in crates/{name}/src: {upward:#?}");
    }
}

#[test]
fn only_the_platform_depends_on_the_operating_system() {
    let mut dependent = Vec::new();
    // `testkit` contains only code for tests.
    for name in CRATES.iter().filter(|name| **name != "testkit") {
        for (module, text) in sources(name) {
            let is_platform = *name == PLATFORM.0 && module.first().is_some_and(|part| part == PLATFORM.1);
            if !is_platform {
                let words = system_words(&text).into_iter();
                dependent.extend(words.map(|word| format!("{name}: {} names {word}", module.join("::"))));
            }
        }
    }
    assert!(dependent.is_empty(), "use or extend the platform module of {}: {dependent:#?}", PLATFORM.0);
}

#[test]
fn dependence_on_the_operating_system_is_found() {
    let text =
        "use std::os::fd::AsFd;\nuse libc::c_int;\n#[cfg(all(unix, test))]\nfn f() { rustix::fs::sync() }\n";
    assert_eq!(system_words(text), BTreeSet::from(["libc", "rustix", "std::os", "unix"]));
    let text = "// As in libc.\nuse tokio::io::unix::AsyncFd;\nfn f() { a.windows(2) }\n#[cfg(test)]\nmod testing;\n";
    assert_eq!(system_words(text), BTreeSet::new());
}

#[test]
fn the_facade_is_implemented_in_few_files() {
    let sources = sources("homing");
    let facade: Vec<String> = sources
        .iter()
        .filter(|(_, text)| text.lines().any(|line| line.starts_with("impl Homing ")))
        .map(|(module, _)| module.join("::"))
        .collect();
    assert!((1..=MAX_FACADE_FILES).contains(&facade.len()), "impl Homing stands in {facade:#?}");
}

#[test]
fn no_files_need_each_other_in_a_circle() {
    for name in CRATES {
        let graph = graph(name);
        assert!(graph.len() > 3, "the sources of {name} were not found");
        let circles = circles(&graph);
        assert!(circles.is_empty(), "circles in crates/{name}/src: {circles:#?}");
    }
}

#[test]
fn a_circle_is_found() {
    let module = |name: &str| vec![name.to_owned()];
    let uses = |names: &[&str]| names.iter().map(|name| module(name)).collect::<BTreeSet<_>>();
    let graph = Graph::from([
        (module("a"), uses(&["b"])),
        (module("b"), uses(&["c"])),
        (module("c"), uses(&["b"])),
        (module("d"), uses(&["a"])),
    ]);
    assert_eq!(circles(&graph), [["b", "c"]]);
}

#[test]
fn paths_are_found_in_every_form() {
    let text = "use crate::a::{b::C, d};\npub use crate::e::F;\n// crate::g::H\nfn f() { super::i::j() }\n";
    let found: Vec<String> = paths(text).collect();
    assert_eq!(found, ["crate::a::b::C", "crate::a::d", "super::i::j"]);
}

/// The sources of a crate without its tests.
fn sources(name: &str) -> BTreeMap<Module, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src");
    let mut sources = BTreeMap::new();
    find_modules(&root, &mut Vec::new(), &mut sources);
    let of_tests: Vec<Module> = sources
        .iter()
        .flat_map(|(module, text)| test_modules(text).map(|name| [&module[..], &[name]].concat()))
        .collect();
    sources.retain(|module, _| !of_tests.iter().any(|of_tests| module.starts_with(of_tests)));
    sources
}

/// The modules in files of their own that a source declares for tests only.
fn test_modules(text: &str) -> impl Iterator<Item = String> {
    let declarations =
        text.split("#[cfg(test)]").skip(1).filter_map(|rest| rest.trim_start().split_once(';'));
    declarations
        .filter_map(|(declaration, _)| declaration.rsplit_once("mod "))
        .filter(|(_, name)| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .map(|(_, name)| name.to_owned())
}

fn graph(name: &str) -> Graph {
    let files = sources(name);
    let exported = exported_again(files.get(&Module::new()).map_or("", String::as_str));
    let uses = |module: &Module, text: &str| {
        let used = paths(text).filter_map(|path| {
            let named = path.strip_prefix("crate::").and_then(|rest| rest.split("::").next());
            let path = named.and_then(|name| exported.get(name)).unwrap_or(&path);
            resolve(module, path, &files)
        });
        used.filter(|used| used != module).collect()
    };
    files.iter().map(|(module, text)| (module.clone(), uses(module, text))).collect()
}

/// The names that the root of a crate exports again, and the paths that they stand for.
fn exported_again(root: &str) -> BTreeMap<String, String> {
    let trees = root.split_inclusive(';').filter_map(|statement| statement.split_once("pub use "));
    let mut paths = Vec::new();
    for (_, tree) in trees {
        let tree: String = tree.trim_end_matches(';').split_whitespace().collect::<Vec<_>>().join(" ");
        expand("crate::", &tree, &mut paths);
    }
    paths.into_iter().filter_map(|path| Some((path.rsplit("::").next()?.to_owned(), path))).collect()
}

/// Reads the modules below a directory, without the tests in the same file.
fn find_modules(directory: &Path, path: &mut Module, files: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(directory).expect("a directory of sources") {
        let entry = entry.expect("an entry").path();
        let name = entry.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        if entry.is_dir() {
            path.push(name);
            find_modules(&entry, path, files);
            path.pop();
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&entry).expect("a source");
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
            let is_parent = ["lib", "main", "mod"].contains(&name.as_str());
            let module = path.iter().cloned().chain((!is_parent).then_some(name)).collect();
            files.insert(module, code);
        }
    }
}

/// A source without its comments.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// What makes a source depend on the operating system.
fn system_words(text: &str) -> BTreeSet<&'static str> {
    let code = code(text);
    let words = |text: &str| -> BTreeSet<String> {
        text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect()
    };
    let all = words(&code);
    let in_conditions: BTreeSet<String> =
        code.lines().filter(|line| line.contains("cfg")).flat_map(words).collect();
    let mut found: BTreeSet<&str> = SYSTEM_WORDS.into_iter().filter(|word| all.contains(*word)).collect();
    found.extend(["unix", "windows"].into_iter().filter(|word| in_conditions.contains(*word)));
    found.extend(code.contains("std::os").then_some("std::os"));
    found
}

/// The paths that a source uses, as they stand there.
fn paths(text: &str) -> impl Iterator<Item = String> {
    let code = code(text);
    let mut found = Vec::new();
    let mut rest = String::new();
    for statement in code.split_inclusive(';') {
        let start = statement.rfind("use ").filter(|at| statement[..*at].ends_with(['\n', ' ']) || *at == 0);
        match start.map(|at| (&statement[..at], &statement[at + 4..])) {
            Some((before, _)) if before.trim_end().ends_with("pub") || before.trim_end().ends_with(')') => {}
            Some((before, tree)) if before.trim().is_empty() || before.ends_with('\n') => {
                let tree: String =
                    tree.trim_end_matches(';').split_whitespace().collect::<Vec<_>>().join(" ");
                expand("", &tree, &mut found);
                rest.push_str(before);
            }
            _ => rest.push_str(statement),
        }
    }
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in rest.match_indices(start) {
            let is_whole = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            let path: String =
                rest[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
            found.extend(is_whole.then(|| path.trim_end_matches(':').to_owned()));
        }
    }
    found.into_iter()
}

/// Writes out a tree of `use`, such as `a::{b, c::d}`.
fn expand(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let Some((head, body)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        return found.push(format!("{prefix}{path}"));
    };
    let prefix = format!("{prefix}{}", head.trim());
    let body = body.trim().strip_suffix('}').unwrap_or(body);
    let (mut depth, mut start) = (0, 0);
    for (at, c) in body.char_indices().chain([(body.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = body[start..at].trim();
                if !part.is_empty() {
                    expand(&prefix, part, found);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The module of this crate that a path leads to; `None` where it leads out of the crate, or to the crate's root.
fn resolve(module: &Module, path: &str, files: &BTreeMap<Module, String>) -> Option<Module> {
    let mut parts: Vec<String> = path.split("::").map(str::to_owned).collect();
    let mut base = match parts[0].as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.clone(),
        first if files.contains_key(&[&module[..], &[first.to_owned()]].concat()) => {
            parts.insert(0, "self".to_owned());
            module.clone()
        }
        _ => return None,
    };
    let ups = parts.iter().take_while(|part| *part == "super").count();
    base.truncate(base.len().checked_sub(ups)?);
    base.extend(parts.into_iter().skip(ups.max(1)));
    while !base.is_empty() && !files.contains_key(&base) {
        base.pop();
    }
    Some(base).filter(|found| !found.is_empty())
}

/// The groups of modules that reach each other.
fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let reach = |from: &Module| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            for used in graph.get(module).into_iter().flatten() {
                if reached.insert(used) {
                    next.push(used);
                }
            }
        }
        reached
    };
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        graph.keys().map(|module| (module, reach(module))).collect();
    let group = |module: &Module| -> Vec<String> {
        let others = reached[module]
            .iter()
            .filter(|other| reached.get(**other).is_some_and(|back| back.contains(module)));
        others.map(|other| other.join("::")).collect()
    };
    let groups: BTreeSet<Vec<String>> = graph.keys().map(group).filter(|group| group.len() > 1).collect();
    groups.into_iter().collect()
}
