//! The Ads API and the administrative side of AMC. What a user has there follows from the user's id.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::{extract::Query, response::Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api_call::{Api, ApiCall, ApiError};

const US_MARKETPLACE: &str = "ATVPDKIKX0DER";
/// Per user.
pub(crate) const INSTANCES: usize = 3;
/// Small enough that a client must follow `nextToken`.
const PAGE: usize = 2;

/// `GET /v2/profiles`: the cheapest way to try an access token.
pub(crate) async fn profiles(call: ApiCall) -> Response {
    let token = call.bearer();
    call.answer(Api::Ads, &token, |_, caller| {
        Ok(json!([{
            "profileId": number_of(&caller.user) % 1_000_000_000_000_000,
            "countryCode": "US",
            "currencyCode": "USD",
            "timezone": "America/Los_Angeles",
            "accountInfo": {
                "marketplaceStringId": US_MARKETPLACE, "id": entity_of(&caller.user), "type": "vendor", "name": &*caller.user
            },
        }]))
    })
    .await
}

/// `GET /amc/accounts`.
pub(crate) async fn accounts(call: ApiCall) -> Response {
    let token = call.bearer();
    call.answer(Api::Ads, &token, |_, caller| {
        let account = json!({
            "accountId": entity_of(&caller.user),
            "accountName": format!("Account of {}", caller.user),
            "marketplaceId": US_MARKETPLACE,
        });
        Ok(json!({"amcAccounts": [account]}))
    })
    .await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    next_token: Option<String>,
}

/// `GET /amc/instances`, in pages.
pub(crate) async fn instances(Query(page): Query<Page>, call: ApiCall) -> Response {
    let token = call.bearer();
    call.answer(Api::Ads, &token, |call, caller| {
        check_advertiser(call, &caller.user)?;
        let from = match page.next_token.as_deref().filter(|token| !token.is_empty()) {
            None => 0,
            Some(token) => token.parse().map_err(|_| ApiError::new(400, "nextToken is invalid"))?,
        };
        let names: Vec<Value> =
            (from..INSTANCES).take(PAGE).map(|index| instance(&instance_of(&caller.user, index), index)).collect();
        let next = from.saturating_add(PAGE);
        let next_token = (next < INSTANCES).then(|| next.to_string());
        Ok(json!({"instances": names, "nextToken": next_token}))
    })
    .await
}

/// AMC wants to know for whom, and tells "nobody" from "not yours".
pub(crate) fn check_advertiser(call: &ApiCall, user: &str) -> Result<(), ApiError> {
    let entity = call.header("amazon-advertising-api-advertiserid");
    if entity.is_empty() {
        return Err(ApiError::new(400, "entityId provided is null"));
    }
    if entity != entity_of(user) {
        return Err(ApiError::new(403, "Unauthorized request."));
    }
    if call.header("amazon-advertising-api-marketplaceid").is_empty() {
        return Err(ApiError::new(400, "marketplaceId provided is null"));
    }
    Ok(())
}

fn instance(id: &str, index: usize) -> Value {
    json!({
        "instanceId": id,
        "instanceName": format!("instance-{index}"),
        "instanceType": "STANDARD",
        "customerCanonicalName": id,
        "creationStatus": "COMPLETED",
        "creationDatetime": "2026-01-01T00:00:00Z",
        "s3BucketName": format!("amc-{id}"),
        "awsAccountId": "000000000000",
        "entities": ["NA"],
        "apiEndpoint": format!("/amc/reporting/{id}"),
        "optionalDatasets": [],
    })
}

/// The advertiser id of a user.
pub(crate) fn entity_of(user: &str) -> String {
    format!("ENTITY{:013X}", number_of(user) >> 12)
}

/// The id of one of a user's instances.
pub(crate) fn instance_of(user: &str, index: usize) -> String {
    format!("amc{:07x}{index}", number_of(user) >> 36)
}

/// The same in every run: `DefaultHasher::new` has fixed keys.
fn number_of(user: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    user.hash(&mut hasher);
    hasher.finish()
}
