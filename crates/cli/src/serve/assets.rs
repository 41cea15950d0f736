//! The web page: its files are a part of the program.

use std::sync::OnceLock;

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH,
};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use ring::digest::{SHA256, digest};

use super::answer::with_type;

/// What the page may load and do: only its own files, and requests to this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Digits of the version, and of the tag of a file.
const HASH_DIGITS: usize = 16;

/// A file of the page.
struct Asset {
    name: &'static str,
    text: &'static str,
}

/// The files of the page with these names.
macro_rules! assets {
    ($($name:literal),+ $(,)?) => {
        &[$(Asset { name: $name, text: include_str!(concat!("page/", $name)) }),+]
    };
}

/// Every file but the document.
const ASSETS: &[Asset] = assets![
    "actions.js",
    "agents.js",
    "ansi.js",
    "api.js",
    "dom.js",
    "icon.svg",
    "job.js",
    "launch.js",
    "main.js",
    "output.js",
    "overview.js",
    "route.js",
    "store.js",
    "style.css",
    "text.js",
    "timeline.js",
];

/// The document of the page.
const INDEX: &str = include_str!("page/index.html");

/// The page as it is sent: each file names the others with the version, so that a new program loads new files, and browsers
/// keep the files of one.
struct Page {
    version: String,
    index: String,
    /// In the order of [`ASSETS`].
    assets: Vec<String>,
}

impl Page {
    fn get() -> &'static Page {
        static PAGE: OnceLock<Page> = OnceLock::new();
        PAGE.get_or_init(Page::new)
    }

    fn new() -> Page {
        let all = ASSETS.iter().map(|asset| asset.text).chain([INDEX]).collect::<Vec<_>>().concat();
        let version = hash(&all);
        let with_versions = |text: &str, folder: &str| {
            ASSETS.iter().fold(text.to_owned(), |text, Asset { name, .. }| {
                text.replace(&format!("\"{folder}{name}\""), &format!("\"{folder}{name}?v={version}\""))
            })
        };
        let index = with_versions(INDEX, "assets/");
        let assets = ASSETS.iter().map(|asset| with_versions(asset.text, "./")).collect();
        Page { version, index, assets }
    }
}

/// Answers a request for the page or one of its files; `None` if there is no such file.
pub(super) fn answer(path: &str, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
    let page = Page::get();
    if path == "/" {
        let mut response = file("text/html; charset=utf-8", &page.index, false, headers);
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        return Some(response);
    }
    let name = path.strip_prefix("/assets/")?;
    let position = ASSETS.iter().position(|asset| asset.name == name)?;
    let is_version = uri.query().and_then(|query| query.strip_prefix("v=")) == Some(page.version.as_str());
    Some(file(content_type(name), &page.assets[position], is_version, headers))
}

fn file(content_type: &'static str, text: &'static str, is_version: bool, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", hash(text));
    let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if is_known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        with_type(StatusCode::OK, content_type, text)
    };
    let caching = if is_version { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(ETAG, HeaderValue::from_str(&tag).expect("digits are plain text"));
    let same_origin = HeaderValue::from_static("same-origin");
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), same_origin.clone());
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), same_origin);
    response
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

fn hash(text: &str) -> String {
    use std::fmt::Write;
    let mut digits = String::new();
    for byte in &digest(&SHA256, text.as_bytes()).as_ref()[..HASH_DIGITS / 2] {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_known_type_and_the_whole_is_small() {
        for asset in ASSETS {
            assert_ne!(content_type(asset.name), "text/plain; charset=utf-8", "{}", asset.name);
        }
        let bytes = INDEX.len() + ASSETS.iter().map(|asset| asset.text.len()).sum::<usize>();
        assert!(bytes <= 100_000, "{bytes} bytes");
    }

    #[test]
    fn every_file_is_named_with_the_version() {
        let uri = Uri::from_static("/");
        let document = answer("/", &uri, &HeaderMap::new()).unwrap();
        assert!(
            document.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'")
        );
        let page = Page::get();
        for asset in ASSETS {
            let name = asset.name;
            let texts = page.assets.iter().chain([&page.index]);
            let plain = texts.filter(|text| text.contains(&format!("/{name}\""))).count();
            assert_eq!(plain, 0, "{name} is named without the version");
            let versioned: Uri = format!("/assets/{name}?v={}", page.version).parse().unwrap();
            let response = answer(versioned.path(), &versioned, &HeaderMap::new()).unwrap();
            assert!(response.headers()[CACHE_CONTROL].to_str().unwrap().contains("immutable"));
            let mut known = HeaderMap::new();
            known.insert(IF_NONE_MATCH, response.headers()[ETAG].clone());
            assert_eq!(
                answer(versioned.path(), &versioned, &known).unwrap().status(),
                StatusCode::NOT_MODIFIED
            );
            let plain: Uri = format!("/assets/{name}").parse().unwrap();
            let response = answer(plain.path(), &plain, &HeaderMap::new()).unwrap();
            assert_eq!(response.headers()[CACHE_CONTROL], "no-cache");
        }
        assert!(answer("/assets/../index.html", &uri, &HeaderMap::new()).is_none());
        assert!(answer("/assets/", &uri, &HeaderMap::new()).is_none());
    }

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/serve/page");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !["index.html", "manifest.txt"].contains(&name.as_str()))
            .collect();
        names.sort();
        let served: Vec<&str> = ASSETS.iter().map(|asset| asset.name).collect();
        assert_eq!(served, names);
    }
}
