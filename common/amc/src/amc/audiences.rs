//! Audiences made of an instance's data.

use futures::Stream;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::endpoint::{Endpoint, unwrapped, with_query};
use super::{Fields, Page, lenient, pages};
use crate::error::Error;
use crate::place::path_of;

const MEDIA_TYPE: &str = "application/vnd.amcquerybasedaudience.v1+json";
const QUERY: &str = "/amc/audiences/query";

/// The making of an audience.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Audience {
    /// Its id.
    #[serde(deserialize_with = "lenient")]
    pub audience_execution_id: String,
    /// `PENDING`, `RUNNING`, `SUCCEEDED` ...
    pub status: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Fields,
}

/// The audiences of an instance. Amazon wants other headers here than everywhere else.
#[derive(Clone)]
pub struct Audiences {
    endpoint: Endpoint,
}

impl Audiences {
    pub(super) fn new(endpoint: &Endpoint, entity: String, instance: String) -> Self {
        let endpoint = endpoint.with_only([
            ("amazon-advertising-api-entityid", entity),
            ("amazon-marketing-cloud-audience-instanceid", instance),
        ]);
        Self { endpoint }
    }

    /// Makes an audience out of a query; `request` is Amazon's `AMCQueryBasedAudiencesRequest`.
    pub async fn create(&self, request: &Fields) -> Result<Audience, Error> {
        unwrapped(self.endpoint.send(Method::POST, QUERY.to_owned(), MEDIA_TYPE, request).await?, "audience")
    }

    /// Makes one that is like another; `request` is Amazon's `AMCLookalikeAudiencesRequest`.
    pub async fn create_lookalike(&self, request: &Fields) -> Result<Audience, Error> {
        let path = "/amc/audiences/lookalike".to_owned();
        unwrapped(self.endpoint.send(Method::POST, path, MEDIA_TYPE, request).await?, "audience")
    }

    /// Every one of them.
    pub fn list(&self) -> impl Stream<Item = Result<Audience, Error>> + Send + use<> {
        let audiences = self.clone();
        pages(move |next| {
            let audiences = audiences.clone();
            async move { audiences.page(next.as_deref()).await }
        })
    }

    /// One page of them.
    pub async fn page(&self, next_token: Option<&str>) -> Result<Page<Audience>, Error> {
        self.endpoint.page(with_query(QUERY.to_owned(), &[("nextToken", next_token)]), "audiences").await
    }

    /// One, by the id of its making.
    pub async fn get(&self, id: &str) -> Result<Audience, Error> {
        unwrapped(self.endpoint.get(path(id)?).await?, "audience")
    }

    /// Changes what may be changed of one.
    pub async fn update(&self, id: &str, changes: &Fields) -> Result<Fields, Error> {
        self.endpoint.send(Method::PUT, path(id)?, MEDIA_TYPE, changes).await
    }

    /// Cancels the making of one, or deletes it.
    pub async fn cancel(&self, id: &str) -> Result<(), Error> {
        self.endpoint.delete(path(id)?).await
    }
}

fn path(id: &str) -> Result<String, Error> {
    path_of(&["amc", "audiences", "query", id])
}
