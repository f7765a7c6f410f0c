//! The description through the whole router.

use std::collections::BTreeSet;

use crate::fixture::{Fixture, get};

#[tokio::test]
async fn the_document_that_is_served_is_the_one_that_is_committed() {
    let answer = Fixture::new().call(get("/api/openapi.json")).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    let expected = serde_json::to_value(crate::openapi::document()).unwrap();
    assert_eq!(answer.json, expected);
}

#[tokio::test]
async fn the_page_needs_nothing_but_its_own_style_sheet() {
    let fixture = Fixture::new();
    let page = fixture.call(get("/api/docs")).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").contains("style-src 'self'"), "{:?}", page.headers);
    for outside in ["<script", "style=", " on", "src=", "@import"] {
        let found = page
            .body
            .match_indices(outside)
            .find(|(at, _)| page.body[*at..].starts_with(outside) && is_tag(&page.body, *at));
        assert!(found.is_none(), "{outside} at {found:?}");
    }
    let style = fixture.call(get("/api/docs.css")).await;
    assert_eq!((style.status.as_u16(), style.header("content-type")), (200, "text/css; charset=utf-8"));
    assert!(style.body.contains("prefers-color-scheme: dark") && !style.body.contains("url("));
}

/// Whether this place is inside of a tag, not in the text between two.
fn is_tag(page: &str, at: usize) -> bool {
    page[..=at].rfind('<') > page[..at].rfind('>')
}

#[tokio::test]
async fn every_operation_and_schema_has_its_place_on_the_page_and_every_link_leads_to_one() {
    let page = Fixture::new().call(get("/api/docs")).await.body;
    let targets = |mark: &str| -> BTreeSet<String> {
        page.split(mark).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
    };
    let (places, links) = (targets(" id=\""), targets("href=\"#"));
    assert!(links.is_subset(&places), "{:?}", links.difference(&places));
    let document = serde_json::to_value(crate::openapi::document()).unwrap();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(places.contains(id), "{id} is not on the page");
        }
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(places.contains(&format!("schema-{name}")), "{name} is not on the page");
    }
}
