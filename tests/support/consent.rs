//! A person in a browser at the simulated Amazon's consent page.

use reqwest::header::{CONTENT_TYPE, LOCATION};
use url::{Url, form_urlencoded};

use super::World;
use super::api::browser;

impl World {
    /// Says yes as this user, to what a consent URL asks for: the path and query of the callback.
    pub(crate) fn consent(&self, auth_url: &str, user: &str) -> String {
        self.decide(auth_url, user, "allow")
    }

    /// Says yes or no.
    pub(crate) fn decide(&self, auth_url: &str, user: &str, decision: &str) -> String {
        let page = Url::parse(auth_url).unwrap();
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(page.query_pairs()).append_pair("user", user).append_pair("decision", decision);
        let mut target = page.clone();
        target.set_query(None);
        let request =
            browser().post(target).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.finish());
        let answer = self.runtime.block_on(async { request.send().await.unwrap() });
        let location = answer.headers().get(LOCATION).expect("a way back").to_str().unwrap();
        let back = Url::parse(location).unwrap();
        assert!(back.path().starts_with("/api/"), "the way back is no callback of ours");
        format!("{}?{}", back.path(), back.query().unwrap_or_default())
    }
}
