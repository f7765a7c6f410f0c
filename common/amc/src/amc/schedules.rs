//! Schedules: stored queries that run by themselves.

use futures::Stream;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::endpoint::{Endpoint, unwrapped, with_query};
use super::workflows::PAGE;
use super::{Fields, Page, lenient, pages};
use crate::error::Error;
use crate::place::path_of;

const MEDIA_TYPE: &str = "application/vnd.amcschedules.v1+json";

/// When a workflow runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Schedule {
    /// Its id, which its maker chooses.
    #[serde(deserialize_with = "lenient")]
    pub schedule_id: String,
    /// What runs.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "String::is_empty")]
    pub workflow_id: String,
    /// `DAILY`, `WEEKLY`, `MONTHLY` ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregation_period: Option<String>,
    /// At which hour, 0 to 23.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregation_hour_utc: Option<u8>,
    /// On which day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregation_start_day: Option<String>,
    /// Whether it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_enabled: Option<bool>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Fields,
}

/// The schedules of an instance.
#[derive(Clone)]
pub struct Schedules {
    endpoint: Endpoint,
    instance: String,
}

impl Schedules {
    pub(super) fn new(endpoint: Endpoint, instance: String) -> Self {
        Self { endpoint, instance }
    }

    /// Every one of them.
    pub fn list(&self) -> impl Stream<Item = Result<Schedule, Error>> + Send + use<> {
        let schedules = self.clone();
        pages(move |next| {
            let schedules = schedules.clone();
            async move { schedules.page(next.as_deref()).await }
        })
    }

    /// A page of up to 100.
    pub async fn page(&self, next_token: Option<&str>) -> Result<Page<Schedule>, Error> {
        let path = with_query(self.path(&[])?, &[("limit", Some(PAGE)), ("nextToken", next_token)]);
        self.endpoint.page(path, "schedules").await
    }

    /// Makes one.
    pub async fn create(&self, schedule: &Schedule) -> Result<Fields, Error> {
        self.endpoint.send(Method::POST, self.path(&[])?, MEDIA_TYPE, schedule).await
    }

    /// One, by its id.
    pub async fn get(&self, id: &str) -> Result<Schedule, Error> {
        unwrapped(self.endpoint.get(self.path(&[id])?).await?, "schedule")
    }

    /// Replaces one.
    pub async fn update(&self, schedule: &Schedule) -> Result<Fields, Error> {
        self.endpoint.send(Method::PUT, self.path(&[&schedule.schedule_id])?, MEDIA_TYPE, schedule).await
    }

    /// Deletes one.
    pub async fn delete(&self, id: &str) -> Result<(), Error> {
        self.endpoint.delete(self.path(&[id])?).await
    }

    fn path(&self, rest: &[&str]) -> Result<String, Error> {
        path_of(&[&["amc", "reporting", &self.instance, "schedules"], rest].concat())
    }
}
