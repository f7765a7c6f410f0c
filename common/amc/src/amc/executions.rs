//! Executions: runs of queries, which take a while.

use std::fmt;

use futures::Stream;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::endpoint::{Endpoint, unwrapped, with_query};
use super::workflows::PAGE;
use super::{Fields, Page, lenient, pages};
use crate::error::Error;
use crate::place::path_of;

const MEDIA_TYPE: &str = "application/vnd.amcworkflowexecutions.v1+json";

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ExecutionStatus {
    /// It waits.
    Pending,
    /// It runs.
    Running,
    /// Its results are there.
    Succeeded,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// A word that is not known here; empty if there was none.
    Other(String),
}

impl Default for ExecutionStatus {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl ExecutionStatus {
    /// The word, as Amazon writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Other(word) => word,
        }
    }

    /// Whether it will not change any more.
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl From<String> for ExecutionStatus {
    fn from(word: String) -> Self {
        let known = [Self::Pending, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];
        known.into_iter().find(|status| status.as_str() == word).unwrap_or(Self::Other(word))
    }
}

impl From<ExecutionStatus> for String {
    fn from(status: ExecutionStatus) -> Self {
        status.as_str().to_owned()
    }
}

/// What runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    /// A stored workflow, by its id.
    WorkflowId(String),
    /// A query that is not stored.
    Workflow {
        /// The query.
        #[serde(rename = "sqlQuery")]
        sql_query: String,
    },
}

/// A run to be begun, over a span of time that is named.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewExecution {
    /// What runs.
    #[serde(flatten)]
    pub what: What,
    /// `EXPLICIT`, `CURRENT_MONTH`, `MOST_RECENT_WEEK` ...
    pub time_window_type: String,
    /// The beginning, such as `2026-01-20T00:00:00`: without a zone. For `EXPLICIT` windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_window_start: Option<String>,
    /// The end, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_window_end: Option<String>,
    /// The zone of both, such as `America/New_York`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_window_time_zone: Option<String>,
    /// Everything else, such as `parameterValues`.
    #[serde(flatten)]
    pub extra: Fields,
}

impl NewExecution {
    /// A run over the time from `start` until `end`, both such as `2026-01-20T00:00:00`, in UTC.
    pub fn over(what: What, start: impl Into<String>, end: impl Into<String>) -> Self {
        Self {
            what,
            time_window_type: "EXPLICIT".to_owned(),
            time_window_start: Some(start.into()),
            time_window_end: Some(end.into()),
            time_window_time_zone: Some("UTC".to_owned()),
            extra: Fields::new(),
        }
    }
}

/// A run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Execution {
    /// Its id.
    #[serde(deserialize_with = "lenient")]
    pub workflow_execution_id: String,
    /// What runs.
    pub workflow_id: Option<String>,
    /// How far it is.
    #[serde(deserialize_with = "lenient")]
    pub status: ExecutionStatus,
    /// Why it failed.
    pub status_reason: Option<String>,
    /// When it was made.
    pub create_time: Option<String>,
    /// Until when its results are kept.
    pub expire_time: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Fields,
}

/// Where results are. The URLs are signed: whoever has one may read.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DownloadUrls {
    /// The results.
    #[serde(deserialize_with = "lenient")]
    pub download_urls: Vec<String>,
    /// What is said about them.
    #[serde(deserialize_with = "lenient")]
    pub metadata_download_urls: Vec<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Fields,
}

/// Which runs to list. Amazon wants to be told one of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecutionFilter {
    /// Those of one workflow.
    OfWorkflow(String),
    /// Those made at this time or later, such as `2026-01-20T00:00:00`.
    Since(String),
}

/// The runs of an instance.
#[derive(Clone)]
pub struct Executions {
    endpoint: Endpoint,
    instance: String,
}

impl fmt::Debug for DownloadUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { download_urls, metadata_download_urls, .. } = self;
        f.debug_struct("DownloadUrls")
            .field("download_urls", &download_urls.len())
            .field("metadata_download_urls", &metadata_download_urls.len())
            .finish_non_exhaustive()
    }
}

impl Executions {
    pub(super) fn new(endpoint: Endpoint, instance: String) -> Self {
        Self { endpoint, instance }
    }

    /// Begins a run.
    pub async fn create(&self, new: &NewExecution) -> Result<Execution, Error> {
        unwrapped(self.endpoint.send(Method::POST, self.path(&[])?, MEDIA_TYPE, new).await?, "workflowExecution")
    }

    /// Every run that passes the filter.
    pub fn list(&self, filter: ExecutionFilter) -> impl Stream<Item = Result<Execution, Error>> + Send + use<> {
        let executions = self.clone();
        pages(move |next| {
            let (executions, filter) = (executions.clone(), filter.clone());
            async move { executions.page(&filter, next.as_deref()).await }
        })
    }

    /// A page of up to 100.
    pub async fn page(&self, filter: &ExecutionFilter, next_token: Option<&str>) -> Result<Page<Execution>, Error> {
        let filter = match filter {
            ExecutionFilter::OfWorkflow(id) => ("workflowId", Some(id.as_str())),
            ExecutionFilter::Since(time) => ("minCreationTime", Some(time.as_str())),
        };
        let path = with_query(self.path(&[])?, &[filter, ("limit", Some(PAGE)), ("nextToken", next_token)]);
        self.endpoint.page(path, "executions").await
    }

    /// One, by its id.
    pub async fn get(&self, id: &str) -> Result<Execution, Error> {
        unwrapped(self.endpoint.get(self.path(&[id])?).await?, "workflowExecution")
    }

    /// Asks for a run to be cancelled.
    pub async fn cancel(&self, id: &str) -> Result<Fields, Error> {
        let cancelled = json!({"workflowExecutionId": id, "status": ExecutionStatus::Cancelled});
        self.endpoint.send(Method::PUT, self.path(&[id])?, MEDIA_TYPE, &cancelled).await
    }

    /// Where the results are; `None`: they are not ready.
    pub async fn download_urls(&self, id: &str) -> Result<Option<DownloadUrls>, Error> {
        match self.endpoint.get(self.path(&[id, "downloadUrls"])?).await {
            Ok(urls) => Ok(Some(urls)),
            Err(Error::Api { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn path(&self, rest: &[&str]) -> Result<String, Error> {
        path_of(&[&["amc", "reporting", &self.instance, "workflowExecutions"], rest].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_written_as_amazon_wants_it() {
        let stored = NewExecution::over(What::WorkflowId("w".to_owned()), "2026-01-01T00:00:00", "2026-01-02T00:00:00");
        let mut expected = json!({
            "workflowId": "w", "timeWindowType": "EXPLICIT", "timeWindowStart": "2026-01-01T00:00:00",
            "timeWindowEnd": "2026-01-02T00:00:00", "timeWindowTimeZone": "UTC",
        });
        assert_eq!(serde_json::to_value(&stored).unwrap(), expected);
        let query = NewExecution { what: What::Workflow { sql_query: "SELECT 1".to_owned() }, ..stored };
        expected.as_object_mut().unwrap().remove("workflowId");
        expected["workflow"] = json!({"sqlQuery": "SELECT 1"});
        assert_eq!(serde_json::to_value(&query).unwrap(), expected);
    }

    #[test]
    fn what_is_new_is_kept_and_what_is_missing_is_no_error() {
        let text = r#"{"workflowExecutionId":"e","status":"PAUSED","outputS3URI":"s3://x","workflowId":null}"#;
        let read: Execution = serde_json::from_str(text).unwrap();
        assert_eq!(read.status, ExecutionStatus::Other("PAUSED".to_owned()));
        assert_eq!(read.extra["outputS3URI"], "s3://x");
        let empty: Execution = serde_json::from_str(r#"{"status":null}"#).unwrap();
        assert_eq!(empty, Execution::default());
        assert!(!empty.status.is_over() && ExecutionStatus::from("FAILED".to_owned()).is_over());
    }

    #[test]
    fn signed_urls_are_not_printed() {
        let urls =
            DownloadUrls { download_urls: vec!["https://x/?X-Amz-Signature=s".to_owned()], ..DownloadUrls::default() };
        assert!(!format!("{urls:?}").contains("Signature"));
    }
}
