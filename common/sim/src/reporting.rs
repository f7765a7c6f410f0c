//! AMC reporting: executions of workflows, which take a while.

use std::collections::{HashMap, VecDeque};

use axum::{
    body::Bytes,
    extract::{Path, Query},
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    ads::{INSTANCES, check_advertiser, instance_of},
    api_call::{Api, ApiCall, ApiError, Caller},
    lock::lock,
    now::{now, now_ms},
};

/// An execution is pending until the first, counted from its creation, and running until the second.
const RUNNING_MS: i64 = 500;
const DONE_MS: i64 = 1000;
/// Executions kept for each instance; the oldest gives way.
const LIMIT: usize = 1000;

/// The executions of every instance, oldest first.
pub(crate) type Executions = HashMap<String, VecDeque<Execution>>;

/// One run of a workflow.
#[derive(Clone)]
pub(crate) struct Execution {
    id: String,
    workflow_id: String,
    created_at_ms: i64,
    created_at: String,
}

impl Execution {
    fn status(&self, now_ms: i64) -> &'static str {
        match now_ms - self.created_at_ms {
            ..RUNNING_MS => "PENDING",
            RUNNING_MS..DONE_MS => "RUNNING",
            _ => "SUCCEEDED",
        }
    }

    fn body(&self) -> Value {
        json!({
            "workflowExecutionId": self.id,
            "workflowId": self.workflow_id,
            "status": self.status(now_ms()),
            "createTime": self.created_at,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewExecution {
    workflow_id: Option<String>,
    workflow: Option<Value>,
}

/// `POST /amc/reporting/{instance}/workflowExecutions`.
pub(crate) async fn create(Path(instance): Path<String>, call: ApiCall, body: Bytes) -> Response {
    let token = call.bearer();
    call.answer(Api::Ads, &token, |call, caller| {
        check_instance(call, caller, &instance)?;
        let wanted: NewExecution =
            serde_json::from_slice(&body).map_err(|_| ApiError::new(400, "The body is not valid JSON"))?;
        let workflow_id = match (wanted.workflow_id, wanted.workflow) {
            (Some(id), None) => id,
            (None, Some(_)) => format!("adhoc-{}", Uuid::new_v4().simple()),
            _ => return Err(ApiError::new(400, "Exactly one of workflowId and workflow is required")),
        };
        let execution = Execution {
            id: Uuid::new_v4().to_string(),
            workflow_id,
            created_at_ms: now_ms(),
            created_at: now().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        };
        let body = execution.body();
        let mut executions = lock(&call.world.executions);
        let own = executions.entry(instance).or_default();
        if own.len() >= LIMIT {
            own.pop_front();
        }
        own.push_back(execution);
        Ok(body)
    })
    .await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    workflow_id: Option<String>,
    min_creation_time: Option<String>,
}

/// `GET /amc/reporting/{instance}/workflowExecutions`.
pub(crate) async fn list(Path(instance): Path<String>, Query(filter): Query<Filter>, call: ApiCall) -> Response {
    let token = call.bearer();
    call.answer(Api::Ads, &token, |call, caller| {
        check_instance(call, caller, &instance)?;
        if filter.workflow_id.is_none() && filter.min_creation_time.is_none() {
            return Err(ApiError::new(400, "Either workflowId or minCreationTime is required"));
        }
        let wanted = |execution: &&Execution| {
            filter.workflow_id.as_ref().is_none_or(|id| *id == execution.workflow_id)
                // Both are ISO 8601 in UTC, which sorts as text.
                && filter.min_creation_time.as_ref().is_none_or(|earliest| execution.created_at >= *earliest)
        };
        let executions = lock(&call.world.executions);
        let own = executions.get(&instance);
        let found: Vec<Value> = own.into_iter().flatten().filter(wanted).map(Execution::body).collect();
        Ok(json!({"executions": found, "nextToken": null}))
    })
    .await
}

/// `GET /amc/reporting/{instance}/workflowExecutions/{id}`.
pub(crate) async fn show(Path((instance, id)): Path<(String, String)>, call: ApiCall) -> Response {
    let token = call.bearer();
    call.answer(Api::Ads, &token, |call, caller| Ok(find(call, caller, &instance, &id)?.body())).await
}

/// `GET /amc/reporting/{instance}/workflowExecutions/{id}/downloadUrls`: 404 until the execution has succeeded.
pub(crate) async fn download_urls(Path((instance, id)): Path<(String, String)>, call: ApiCall) -> Response {
    let token = call.bearer();
    call.answer(Api::Ads, &token, |call, caller| {
        if find(call, caller, &instance, &id)?.status(now_ms()) != "SUCCEEDED" {
            return Err(ApiError::new(404, format!("Results of workflow execution {id} are not ready.")));
        }
        let url = format!("https://amc-{instance}.s3.amazonaws.com/{id}.csv");
        Ok(json!({"downloadUrls": [url], "metadataDownloadUrls": []}))
    })
    .await
}

fn find(call: &ApiCall, caller: &Caller, instance: &str, id: &str) -> Result<Execution, ApiError> {
    check_instance(call, caller, instance)?;
    let executions = lock(&call.world.executions);
    let found = executions.get(instance).and_then(|own| own.iter().find(|execution| execution.id == id));
    found.cloned().ok_or_else(|| ApiError::new(400, format!("Workflow execution with ID {id} does not exist.")))
}

fn check_instance(call: &ApiCall, caller: &Caller, instance: &str) -> Result<(), ApiError> {
    check_advertiser(call, &caller.user)?;
    let own = (0..INSTANCES).any(|index| instance_of(&caller.user, index) == instance);
    own.then_some(()).ok_or_else(|| ApiError::new(403, "Unauthorized request."))
}
