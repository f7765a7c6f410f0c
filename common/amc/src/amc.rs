//! The documented AMC endpoints, typed. What Amazon adds to its answers is kept, what it leaves out is no error.

mod audiences;
mod data_sets;
mod endpoint;
mod executions;
mod instances;
mod schedules;
mod workflows;

use evergrant_contract::ids::ConnectionId;
use futures::Stream;
use serde::{Deserialize, Deserializer, Serialize};

pub use audiences::{Audience, Audiences};
pub use data_sets::{DataSet, DataSets, Upload};
pub use executions::{DownloadUrls, Execution, ExecutionFilter, ExecutionStatus, Executions, NewExecution, What};
pub use instances::{AmcInstance, InstanceAdvertiser, InstanceApi, NewInstance};
pub use schedules::{Schedule, Schedules};
pub use workflows::{Workflow, Workflows};

use crate::client::Client;
use crate::error::Error;
use endpoint::Endpoint;

/// Fields that have no name here.
pub type Fields = serde_json::Map<String, serde_json::Value>;

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// What to ask for the next one with; `None`: this is the last.
    pub next_token: Option<String>,
}

/// AMC as a connection sees it.
#[derive(Clone)]
pub struct Amc {
    endpoint: Endpoint,
}

/// AMC as an advertiser sees it: calls say for which account and marketplace they are.
#[derive(Clone)]
pub struct Advertiser {
    endpoint: Endpoint,
    entity: String,
}

/// An AMC account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Account {
    /// `ENTITY…`: what [`Amc::advertiser`] wants.
    #[serde(deserialize_with = "lenient")]
    pub account_id: String,
    /// Its name.
    pub account_name: Option<String>,
    /// Its marketplace, such as `ATVPDKIKX0DER`.
    #[serde(deserialize_with = "lenient")]
    pub marketplace_id: String,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Fields,
}

impl Amc {
    pub(crate) fn new(client: Client, connection: ConnectionId) -> Self {
        Self { endpoint: Endpoint::new(client, connection) }
    }

    /// The accounts that the connection can use AMC for.
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        Ok(self.endpoint.page("/amc/accounts".to_owned(), "amcAccounts").await?.items)
    }

    /// AMC for one account and marketplace.
    pub fn advertiser(&self, entity: impl Into<String>, marketplace: impl Into<String>) -> Advertiser {
        let entity = entity.into();
        let endpoint = self
            .endpoint
            .with("amazon-advertising-api-advertiserid", entity.clone())
            .with("amazon-advertising-api-marketplaceid", marketplace.into());
        Advertiser { endpoint, entity }
    }
}

/// A list, page after page, as it is read.
fn pages<T, F>(next: impl Fn(Option<String>) -> F + Send + 'static) -> impl Stream<Item = Result<T, Error>> + Send
where
    T: Send + 'static,
    F: Future<Output = Result<Page<T>, Error>> + Send,
{
    use futures::{StreamExt as _, TryStreamExt as _, stream};
    let pages = stream::try_unfold(Some(None), move |token: Option<Option<String>>| {
        // Asked for in here, since the closure lives as long as the stream and the future does not.
        let asked = token.map(|token| (next(token.clone()), token));
        async move {
            let Some((page, token)) = asked else { return Ok(None) };
            let page = page.await?;
            if page.next_token.is_some() && page.next_token == token {
                return Err(Error::Unreadable("the list's next page is the same page again".to_owned()));
            }
            Ok(Some((page.items, page.next_token.map(Some))))
        }
    });
    pages.map_ok(|items| stream::iter(items).map(Ok)).try_flatten()
}

/// `null` is what a missing field is.
fn lenient<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
