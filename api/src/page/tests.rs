//! The page through the whole router: with files, and without.

use std::sync::Arc;

use axum::Router;
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, IF_NONE_MATCH};
use axum::http::{Request, StatusCode};

use super::*;
use crate::edges;
use crate::fixture::{Fixture, Reply, get, post};

/// A front end of three files, one of them in every form.
#[derive(Embed)]
#[folder = "src/page/built"]
struct Small;

/// A fresh clone.
#[derive(Embed)]
#[folder = "src/page/missing"]
#[allow_missing = true]
struct Missing;

const SCRIPT: &str = "/assets/small-1a2b3c4d.js";
/// What a browser says when a person goes somewhere.
const GOING: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

fn fixture(page: Page) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.router = edges::around(Arc::clone(&fixture.api), Router::new(), Router::new(), page);
    fixture
}

async fn go(fixture: &Fixture, path: &str) -> Reply {
    fixture.call(get(path).header(ACCEPT, GOING)).await
}

#[tokio::test]
async fn every_address_of_the_page_is_the_page() {
    let fixture = fixture(Page::of::<Small>());
    for path in ["/", "/connections", "/ops/failed-jobs/0199e2a4-0000-7000-8000-000000000001", "/auth/success?x=1.2"] {
        let answer = go(&fixture, path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(answer.body.contains("<title>Small</title>"), "{path}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "no-cache");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let policy = answer.header("content-security-policy");
        assert_eq!(
            policy,
            "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
             frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
        );
    }
    assert_eq!(fixture.call(get("/")).await.status, StatusCode::OK, "whatever a program accepts");
}

#[tokio::test]
async fn files_that_are_not_there_are_not_the_page_and_paths_of_programs_are_problems() {
    let fixture = fixture(Page::of::<Small>());
    for path in ["/assets/old-5e6f7a8b.js", "/robots.txt", "/connections/app.js", "/api", "/api/", "/api/connection"] {
        let answer = go(&fixture, path).await;
        assert_eq!((answer.status, answer.problem()), (StatusCode::NOT_FOUND, "not-found"), "{path}");
    }
    for path in ["/metrics/x", "/healthz/x", "/readyz/", "/../Cargo.toml", "/assets/../index.html"] {
        assert_eq!(go(&fixture, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(fixture.call(get("/connections")).await.problem(), "not-found", "a program goes nowhere");
    assert_eq!(fixture.call(post("/connections").header(ACCEPT, GOING)).await.problem(), "not-found");
    let refused = fixture.call(post(SCRIPT)).await;
    assert_eq!((refused.problem(), refused.header("allow")), ("method-not-allowed", "GET,HEAD"));
    assert_eq!(go(&fixture, "/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn files_with_a_hash_are_kept_for_ever_and_others_are_asked_for_again() {
    let fixture = fixture(Page::of::<Small>());
    let script = fixture.call(get(SCRIPT)).await;
    assert_eq!((script.status, script.body.as_str()), (StatusCode::OK, "console.log(\"plain\");\n"));
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(script.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(script.header("content-length"), "22");
    let mark = fixture.call(get("/mark.svg")).await;
    assert_eq!((mark.header("content-type"), mark.header("cache-control")), ("image/svg+xml", "no-cache"));

    let tag = mark.header("etag");
    assert!(tag.len() == 34 && tag.starts_with('"'), "{tag}");
    for known in [tag, "*", &format!("W/{tag}"), &format!("\"x\", {tag}")] {
        let again = fixture.call(get("/mark.svg").header(IF_NONE_MATCH, known)).await;
        assert_eq!((again.status, again.body.as_str(), again.header("etag")), (StatusCode::NOT_MODIFIED, "", tag));
    }
    let other = fixture.call(get("/mark.svg").header(IF_NONE_MATCH, script.header("etag"))).await;
    assert_eq!(other.status, StatusCode::OK);
}

#[tokio::test]
async fn the_smallest_form_that_the_client_takes_is_sent() {
    let fixture = fixture(Page::of::<Small>());
    let mut tags = Vec::new();
    for (accepted, encoding, told) in [("br, gzip", "br", "(brotli)"), ("gzip", "gzip", "(gzip)"), ("", "", "plain")] {
        let answer = fixture.call(get(SCRIPT).header(ACCEPT_ENCODING, accepted)).await;
        assert_eq!(answer.header("content-encoding"), encoding);
        assert!(answer.body.contains(told), "{}", answer.body);
        assert_eq!(answer.header("content-type"), "text/javascript; charset=utf-8");
        assert_eq!(answer.header("vary"), "accept-encoding");
        tags.push(answer.header("etag").to_owned());
    }
    tags.dedup();
    assert_eq!(tags.len(), 3, "other bytes have another tag");
    let mark = fixture.call(get("/mark.svg").header(ACCEPT_ENCODING, "br")).await;
    assert_eq!(mark.header("content-encoding"), "", "it is kept in its plain form only");
}

#[tokio::test]
async fn a_head_tells_what_a_get_would() {
    let fixture = fixture(Page::of::<Small>());
    for path in [SCRIPT, "/", "/connections", "/mark.svg"] {
        let got = go(&fixture, path).await;
        let head = fixture.call(Request::head(path).header(ACCEPT, GOING)).await;
        assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""), "{path}");
        for name in ["content-length", "content-type", "etag", "cache-control"] {
            assert!(!head.header(name).is_empty(), "{name} of {path}");
            assert_eq!(head.header(name), got.header(name), "{name} of {path}");
        }
    }
}

#[tokio::test]
async fn a_program_without_the_page_says_how_to_get_it() {
    let fixture = fixture(Page::of::<Missing>());
    for path in ["/", "/connections"] {
        let answer = go(&fixture, path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.body.contains("cargo xtask frontend build"), "{}", answer.body);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(answer.header("content-security-policy").contains("script-src 'self'"));
    }
    assert_eq!(go(&fixture, "/api/nothing").await.problem(), "not-found");
    assert_eq!(go(&fixture, "/assets/a.js").await.problem(), "not-found");
    let is_inline = |page: &str| page.contains("<style") || page.contains("style=") || page.contains("<script");
    assert!(!is_inline(PLACEHOLDER), "the policy would refuse it");
}
