//! Workflows: stored queries.

use futures::Stream;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::endpoint::{Endpoint, unwrapped, with_query};
use super::{Fields, Page, lenient, pages};
use crate::error::Error;
use crate::place::path_of;

const MEDIA_TYPE: &str = "application/vnd.amcworkflows.v1+json";
/// The most that Amazon gives out at once.
pub(super) const PAGE: &str = "100";

/// A stored query.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Workflow {
    /// Its id, which its maker chooses.
    #[serde(deserialize_with = "lenient")]
    pub workflow_id: String,
    /// The query.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "String::is_empty")]
    pub sql_query: String,
    /// Everything else, such as `inputParameters`.
    #[serde(flatten)]
    pub extra: Fields,
}

/// The workflows of an instance.
#[derive(Clone)]
pub struct Workflows {
    endpoint: Endpoint,
    instance: String,
}

impl Workflows {
    pub(super) fn new(endpoint: Endpoint, instance: String) -> Self {
        Self { endpoint, instance }
    }

    /// Every one of them.
    pub fn list(&self) -> impl Stream<Item = Result<Workflow, Error>> + Send + use<> {
        let workflows = self.clone();
        pages(move |next| {
            let workflows = workflows.clone();
            async move { workflows.page(next.as_deref()).await }
        })
    }

    /// A page of up to 100.
    pub async fn page(&self, next_token: Option<&str>) -> Result<Page<Workflow>, Error> {
        let path = with_query(self.path(&[])?, &[("limit", Some(PAGE)), ("nextToken", next_token)]);
        self.endpoint.page(path, "workflows").await
    }

    /// Stores a query. One of the same id is an error of Amazon's, not replaced.
    pub async fn create(&self, workflow: &Workflow) -> Result<Fields, Error> {
        self.endpoint.send(Method::POST, self.path(&[])?, MEDIA_TYPE, workflow).await
    }

    /// One, by its id.
    pub async fn get(&self, id: &str) -> Result<Workflow, Error> {
        unwrapped(self.endpoint.get(self.path(&[id])?).await?, "workflow")
    }

    /// Replaces one.
    pub async fn update(&self, workflow: &Workflow) -> Result<Fields, Error> {
        self.endpoint.send(Method::PUT, self.path(&[&workflow.workflow_id])?, MEDIA_TYPE, workflow).await
    }

    /// Deletes one.
    pub async fn delete(&self, id: &str) -> Result<(), Error> {
        self.endpoint.delete(self.path(&[id])?).await
    }

    fn path(&self, rest: &[&str]) -> Result<String, Error> {
        path_of(&[&["amc", "reporting", &self.instance, "workflows"], rest].concat())
    }
}
