#![doc = include_str!("../README.md")]

mod amc;
mod answer;
mod call;
mod client;
mod clock;
mod error;
mod place;
mod refusal;
mod remote;
mod retry_after;
mod settings;
mod tokens;

pub use amc::{
    Account, Advertiser, Amc, AmcInstance, Audience, Audiences, DataSet, DataSets, DownloadUrls, Execution,
    ExecutionFilter, ExecutionStatus, Executions, Fields, InstanceAdvertiser, InstanceApi, NewExecution, NewInstance,
    Page, Schedule, Schedules, Upload, What, Workflow, Workflows,
};
pub use answer::{Answer, Body, Used};
pub use call::{Call, Family};
pub use client::Client;
pub use clock::SystemClock;
pub use error::{ClientError, Error};
/// What connections and secrets are called everywhere in Evergrant.
pub use evergrant_contract::{ids::ConnectionId, secret::Secret};
pub use refusal::is_about_the_token;
pub use remote::{RemoteSettings, RemoteTokens};
/// The words of HTTP that calls and answers are made of.
pub use reqwest::{Method, StatusCode, header};
pub use settings::ClientSettings;
pub use tokens::{Held, Target, TokenError, Tokens};

/// Compiles the examples of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/API.md")]
struct Guide;
