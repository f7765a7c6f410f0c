//! AMC instances, and who is in them.

use futures::Stream;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::endpoint::{Endpoint, unwrapped, with_query};
use super::{Advertiser, Audiences, DataSets, Executions, Fields, Page, Schedules, Workflows, lenient, pages};
use crate::error::Error;
use crate::place::path_of;

const MEDIA_TYPE: &str = "application/vnd.amcinstances.v1+json";

/// An AMC instance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AmcInstance {
    /// `amc…`
    #[serde(deserialize_with = "lenient")]
    pub instance_id: String,
    /// Its name.
    pub instance_name: Option<String>,
    /// `STANDARD` or `SANDBOX`.
    pub instance_type: Option<String>,
    /// `REQUESTED`, `COMPLETED` ...
    pub creation_status: Option<String>,
    /// When it was made.
    pub creation_datetime: Option<String>,
    /// Where results go.
    pub s3_bucket_name: Option<String>,
    /// Whose bucket that is.
    pub aws_account_id: Option<String>,
    /// Regions.
    #[serde(deserialize_with = "lenient")]
    pub entities: Vec<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Fields,
}

/// An instance to be made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewInstance {
    /// Its name.
    pub instance_name: String,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Fields,
}

/// An advertiser whose data is in an instance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceAdvertiser {
    /// Its id.
    #[serde(deserialize_with = "lenient")]
    pub advertiser_id: String,
    /// Its name.
    pub advertiser_name: Option<String>,
    /// Its marketplace.
    pub marketplace_id: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Fields,
}

/// One instance and everything in it.
#[derive(Clone)]
pub struct InstanceApi {
    endpoint: Endpoint,
    entity: String,
    instance: String,
}

impl Advertiser {
    /// Every instance of the account.
    pub fn instances(&self) -> impl Stream<Item = Result<AmcInstance, Error>> + Send + use<> {
        let advertiser = self.clone();
        pages(move |next| {
            let advertiser = advertiser.clone();
            async move { advertiser.instances_page(next.as_deref()).await }
        })
    }

    /// One page of them.
    pub async fn instances_page(&self, next_token: Option<&str>) -> Result<Page<AmcInstance>, Error> {
        let path = with_query("/amc/instances".to_owned(), &[("nextToken", next_token)]);
        self.endpoint.page(path, "instances").await
    }

    /// Asks for a new instance. It is there when its `creation_status` is `COMPLETED`.
    pub async fn create_instance(&self, new: &NewInstance) -> Result<AmcInstance, Error> {
        let made = self.endpoint.send(Method::POST, "/amc/instances".to_owned(), MEDIA_TYPE, new).await?;
        unwrapped(made, "instance")
    }

    /// One instance, by its id.
    pub fn instance(&self, id: impl Into<String>) -> InstanceApi {
        InstanceApi { endpoint: self.endpoint.clone(), entity: self.entity.clone(), instance: id.into() }
    }
}

impl InstanceApi {
    /// What the instance is.
    pub async fn details(&self) -> Result<AmcInstance, Error> {
        unwrapped(self.endpoint.get(self.path(&[])?).await?, "instance")
    }

    /// Changes what may be changed of it, such as its name and its bucket.
    pub async fn update(&self, changes: &Fields) -> Result<Fields, Error> {
        self.endpoint.send(Method::PUT, self.path(&[])?, MEDIA_TYPE, changes).await
    }

    /// Deletes it with all its data. This cannot be undone.
    pub async fn delete(&self) -> Result<(), Error> {
        self.endpoint.delete(self.path(&[])?).await
    }

    /// Names the AWS account that results are delivered to.
    pub async fn update_customer_aws_account(&self, account: &Fields) -> Result<Fields, Error> {
        self.endpoint.send(Method::POST, self.path(&["updateCustomerAwsAccount"])?, MEDIA_TYPE, account).await
    }

    /// Everybody whose data is in it.
    pub fn advertisers(&self) -> impl Stream<Item = Result<InstanceAdvertiser, Error>> + Send + use<> {
        let instance = self.clone();
        pages(move |next| {
            let instance = instance.clone();
            async move { instance.advertisers_page(next.as_deref()).await }
        })
    }

    /// One page of them.
    pub async fn advertisers_page(&self, next_token: Option<&str>) -> Result<Page<InstanceAdvertiser>, Error> {
        let path = with_query(self.path(&["advertisers"])?, &[("nextToken", next_token)]);
        self.endpoint.page(path, "advertisers").await
    }

    /// Asks for advertisers to be added or removed; how that goes is in [`advertiser_updates`](Self::advertiser_updates).
    pub async fn update_advertisers(&self, changes: &Fields) -> Result<Fields, Error> {
        self.endpoint.send(Method::POST, self.path(&["advertisers", "updates"])?, MEDIA_TYPE, changes).await
    }

    /// How updates of its advertisers go.
    pub async fn advertiser_updates(&self) -> Result<Fields, Error> {
        self.endpoint.get(self.path(&["advertisers", "updates"])?).await
    }

    /// Its stored queries.
    pub fn workflows(&self) -> Workflows {
        Workflows::new(self.endpoint.clone(), self.instance.clone())
    }

    /// When its stored queries run by themselves.
    pub fn schedules(&self) -> Schedules {
        Schedules::new(self.endpoint.clone(), self.instance.clone())
    }

    /// Runs of its queries.
    pub fn executions(&self) -> Executions {
        Executions::new(self.endpoint.clone(), self.instance.clone())
    }

    /// Audiences made of its data.
    pub fn audiences(&self) -> Audiences {
        Audiences::new(&self.endpoint, self.entity.clone(), self.instance.clone())
    }

    /// Data of the advertiser's own.
    pub fn data_sets(&self) -> DataSets {
        DataSets::new(self.endpoint.clone(), self.instance.clone())
    }

    fn path(&self, rest: &[&str]) -> Result<String, Error> {
        path_of(&[&["amc", "instances", &self.instance], rest].concat())
    }
}
