//! The web page: the files of the front end, which are part of the program.
//!
//! `cargo xtask frontend build` leaves them in `frontend/dist`. A program that was built without them says how to get them.

mod encoding;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{Embed, EmbeddedFile};

use crate::problem::{Problem, ProblemKind};
use encoding::Encoding;

/// Everything comes from where the page comes from, and nothing runs or is styled inside of it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
);
/// For files whose names hold a hash of their content.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// For the others: kept, and asked for again with the tag.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// The page that loads the others.
const INDEX: &str = "index.html";
/// Files here have a hash in their name.
const HASHED: &str = "assets/";
/// Paths of programs, below which no page is.
const NOT_OURS: [&str; 4] = ["api", "healthz", "readyz", "metrics"];

const PLACEHOLDER: &str = include_str!("page/placeholder.html");

/// What `npm run build` left behind: nothing in a fresh clone.
#[derive(Embed)]
#[folder = "../frontend/dist"]
#[allow_missing = true]
struct Built;

/// Where files come from.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    find: fn(&str) -> Option<EmbeddedFile>,
}

impl Page {
    /// The files that this program was built with.
    pub(crate) fn built() -> Self {
        Self::of::<Built>()
    }

    fn of<Files: Embed>() -> Self {
        Self { find: Files::get }
    }

    /// The paths whose names are known. Everything else that no other route takes is for [`Page::answer`].
    pub(crate) fn routes<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let answer = move |request: Request| async move { self.answer(&request) };
        Router::new().route("/", get(answer)).route("/assets/{*file}", get(answer))
    }

    /// A file, the page for addresses that it knows by itself, or a problem.
    pub(crate) fn answer(self, request: &Request) -> Response {
        let path = request.uri().path().trim_start_matches('/');
        let first = path.split('/').next().unwrap_or_default();
        // A hidden file is none of the front end's: one keeps its folder in the repository.
        let is_ours = !NOT_OURS.contains(&first) && !first.starts_with('.');
        if !is_ours || !matches!(*request.method(), Method::GET | Method::HEAD) {
            return not_found();
        }
        let is_file = path.starts_with(HASHED) || path.rsplit('/').next().is_some_and(|name| name.contains('.'));
        let is_page = path.is_empty() || accepts_pages(request.headers());
        match (self.find)(path) {
            Some(file) => self.file(path, &file, request),
            None if is_file || !is_page => not_found(),
            None => (self.find)(INDEX).map_or_else(placeholder, |file| self.file(INDEX, &file, request)),
        }
    }

    fn file(self, path: &str, plain: &EmbeddedFile, request: &Request) -> Response {
        let accepted = Encoding::accepted(request.headers());
        let packed = |encoding: Encoding| Some((Some(encoding), (self.find)(&encoding.name(path))?));
        let packed = accepted.into_iter().find_map(packed);
        let (encoding, file) = packed.as_ref().map_or((None, plain), |(encoding, file)| (*encoding, file));

        let mut headers = HeaderMap::new();
        // The same bytes have the same tag, other bytes another one: those of the packed file included.
        let tag = tag(file);
        let is_known = request.headers().get_all(header::IF_NONE_MATCH).iter().any(|known| names(known, &tag));
        headers.extend(HeaderValue::try_from(tag).ok().map(|tag| (header::ETAG, tag)));
        headers.insert(header::CACHE_CONTROL, if path.starts_with(HASHED) { FOR_EVER } else { ASK_AGAIN });
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if path == INDEX {
            headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
        }
        if is_known {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        headers.extend(encoding.map(|encoding| (header::CONTENT_ENCODING, encoding.header())));
        headers.extend(content_type(plain).map(|kind| (header::CONTENT_TYPE, kind)));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(file.data.len()));
        let body = if request.method() == Method::HEAD { Body::empty() } else { Body::from(bytes(file.data.clone())) };
        (headers, body).into_response()
    }
}

fn bytes(data: Cow<'static, [u8]>) -> Bytes {
    match data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => Bytes::from(data),
    }
}

/// Half of a SHA-256 is unique enough among the builds of one page.
fn tag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let half = hash.first_chunk().copied().map(u128::from_be_bytes).unwrap_or_default();
    format!("\"{half:032x}\"")
}

/// Whether one value of `If-None-Match` names the tag. Proxies that pack make it a weak one.
fn names(known: &HeaderValue, tag: &str) -> bool {
    let Ok(known) = known.to_str() else { return false };
    known.split(',').map(str::trim).any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

fn content_type(file: &EmbeddedFile) -> Option<HeaderValue> {
    let kind = file.metadata.mimetype();
    let is_text = kind.starts_with("text/") || kind.ends_with("json");
    HeaderValue::try_from(if is_text { format!("{kind}; charset=utf-8") } else { kind.to_owned() }).ok()
}

/// Whether this is a person going somewhere: scripts and images ask for other types, programs for any.
fn accepts_pages(headers: &HeaderMap) -> bool {
    let kinds = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = kinds.flat_map(|value| value.split(','));
    kinds.any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html")))
}

fn not_found() -> Response {
    Problem::new(ProblemKind::NotFound, "There is no such route. GET /api/docs lists those that there are.")
        .into_response()
}

/// Says that there is no page, and how to get one. It is not found, and nobody shall remember that.
fn placeholder() -> Response {
    let headers: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (StatusCode::NOT_FOUND, headers, PLACEHOLDER).into_response()
}
