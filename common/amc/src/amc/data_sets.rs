//! Data of the advertiser's own: data sets, and what was uploaded into them.

use futures::Stream;
use serde::{Deserialize, Serialize};

use super::endpoint::{Endpoint, unwrapped, with_query};
use super::{Fields, Page, lenient, pages};
use crate::error::Error;
use crate::place::path_of;

/// A data set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DataSet {
    /// Its id.
    #[serde(deserialize_with = "lenient")]
    pub data_set_id: String,
    /// What it is for.
    pub description: Option<String>,
    /// Everything else, such as `columns`.
    #[serde(flatten)]
    pub extra: Fields,
}

/// An upload into a data set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Upload {
    /// Its id.
    #[serde(deserialize_with = "lenient")]
    pub upload_id: String,
    /// Into which data set.
    pub data_set_id: Option<String>,
    /// `PENDING`, `SUCCEEDED` ...
    pub status: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Fields,
}

/// The data sets of an instance.
#[derive(Clone)]
pub struct DataSets {
    endpoint: Endpoint,
    instance: String,
}

impl DataSets {
    pub(super) fn new(endpoint: Endpoint, instance: String) -> Self {
        Self { endpoint, instance }
    }

    /// Every one of them.
    pub fn list(&self) -> impl Stream<Item = Result<DataSet, Error>> + Send + use<> {
        let data_sets = self.clone();
        pages(move |next| {
            let data_sets = data_sets.clone();
            async move { data_sets.page(next.as_deref()).await }
        })
    }

    /// One page of them.
    pub async fn page(&self, next_token: Option<&str>) -> Result<Page<DataSet>, Error> {
        let path = with_query(self.path(&["dataSets", "list"])?, &[("nextToken", next_token)]);
        self.endpoint.posted_page(path, "dataSets").await
    }

    /// One, by its id.
    pub async fn get(&self, id: &str) -> Result<DataSet, Error> {
        unwrapped(self.endpoint.get(self.path(&["dataSets", id])?).await?, "dataSet")
    }

    /// Every upload into any of them.
    pub fn uploads(&self) -> impl Stream<Item = Result<Upload, Error>> + Send + use<> {
        let data_sets = self.clone();
        pages(move |next| {
            let data_sets = data_sets.clone();
            async move { data_sets.uploads_page(next.as_deref()).await }
        })
    }

    /// One page of them.
    pub async fn uploads_page(&self, next_token: Option<&str>) -> Result<Page<Upload>, Error> {
        let path = with_query(self.path(&["uploads", "list"])?, &[("nextToken", next_token)]);
        self.endpoint.posted_page(path, "uploads").await
    }

    /// One upload, by its ids.
    pub async fn upload(&self, data_set: &str, id: &str) -> Result<Upload, Error> {
        unwrapped(self.endpoint.get(self.path(&["uploads", data_set, id])?).await?, "upload")
    }

    fn path(&self, rest: &[&str]) -> Result<String, Error> {
        path_of(&[&["amc", "advertiserData", &self.instance], rest].concat())
    }
}
