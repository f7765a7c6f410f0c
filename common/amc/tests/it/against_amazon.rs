//! Against the simulated Amazon.

use std::sync::Arc;

use evergrant_amc::{
    Advertiser, Amc, Call, Client, Error, ExecutionFilter, ExecutionStatus, NewExecution, TokenError, What,
};
use evergrant_sim::{Fault, FaultKind, Sim, SimOptions, Target};
use futures::TryStreamExt as _;

use crate::scripted::{Script, client, connection, held};

struct Amazon {
    sim: Sim,
    tokens: Arc<Script>,
    client: Client,
}

impl Amazon {
    /// The first token is good, or none of Amazon's; the one after it is good.
    async fn start(first_is_good: bool) -> Self {
        let sim = Sim::start(SimOptions::default()).await.unwrap();
        let good = sim.grant("ada").access_token;
        let first = if first_is_good { &good } else { "Atza|long gone" };
        let tokens =
            Script::new(Ok(held(sim.url(), first, 1)), [Ok(held(sim.url(), &good, 2)), Err(TokenError::Rejected)]);
        let client = client(&tokens).0;
        Self { sim, tokens, client }
    }

    fn amc(&self) -> Amc {
        self.client.amc(connection())
    }

    async fn advertiser(&self) -> Advertiser {
        let accounts = self.amc().accounts().await.unwrap();
        self.amc().advertiser(&accounts[0].account_id, &accounts[0].marketplace_id)
    }

    fn outcomes(&self) -> Vec<(&'static str, u64)> {
        self.sim.stats().api_outcomes.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

#[tokio::test]
async fn an_expired_token_is_nobodys_business() {
    let amazon = Amazon::start(false).await;
    let accounts = amazon.amc().accounts().await.unwrap();
    assert_eq!(accounts[0].account_name.as_deref(), Some("Account of ada"));
    assert_eq!(amazon.tokens.refused(), [1]);
    assert_eq!(amazon.outcomes(), [("401", 1), ("ok", 1)]);
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_of_a_list_does_not_end_the_list() {
    let amazon = Amazon::start(true).await;
    let advertiser = amazon.advertiser().await;
    // The script gives the first token out again for the second page, where Amazon refuses it once.
    let mut instances = std::pin::pin!(advertiser.instances());
    let first = instances.try_next().await.unwrap().unwrap();
    let expired = FaultKind::ApiError { status: 401, details: "Authentication failed".to_owned() };
    amazon.sim.set_faults([Fault::new(expired).times(1)]);
    let rest: Vec<_> = instances.try_collect().await.unwrap();
    let mut ids: Vec<_> = rest.iter().chain([&first]).map(|instance| instance.instance_id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), amazon.tokens.refused()), (3, vec![1]));
}

#[tokio::test]
async fn permissions_are_told_as_amazon_tells_them_and_cost_no_refresh() {
    let amazon = Amazon::start(true).await;
    let not_yours = amazon.amc().advertiser("ENTITYOTHER", "ATVPDKIKX0DER");
    let Err(Error::Api { status: 403, code, details, request_id }) = not_yours.instances_page(None).await else {
        panic!()
    };
    assert_eq!((code.as_deref(), details.as_deref()), (Some("403"), Some("Unauthorized request.")));
    assert!(request_id.is_some());
    let no_profile = FaultKind::ApiError { status: 401, details: "Not authorized to access scope 1".to_owned() };
    amazon.sim.set_faults([Fault::new(no_profile)]);
    let answer = amazon.client.send(connection(), Call::get("/v2/profiles")).await.unwrap();
    assert_eq!(answer.status.as_u16(), 401);
    assert!(amazon.tokens.refused().is_empty());
}

#[tokio::test]
async fn a_token_that_is_refused_however_fresh_it_is_ends_the_repetition() {
    let amazon = Amazon::start(true).await;
    let refused = FaultKind::ApiError { status: 401, details: "Authentication failed".to_owned() };
    amazon.sim.set_faults([Fault::new(refused)]);
    let error = amazon.amc().accounts().await.unwrap_err();
    assert!(matches!(error, Error::Rejected { answer: Some(_) }), "{error}");
    assert_eq!((amazon.tokens.refused(), amazon.outcomes()), (vec![1, 2], vec![("401", 2)]));
}

#[tokio::test]
async fn a_run_is_begun_watched_and_fetched() {
    let amazon = Amazon::start(true).await;
    let advertiser = amazon.advertiser().await;
    let instance = advertiser.instances_page(None).await.unwrap().items.remove(0).instance_id;
    let executions = advertiser.instance(instance).executions();
    let new = NewExecution::over(What::WorkflowId("w".to_owned()), "2026-01-01T00:00:00", "2026-01-02T00:00:00");
    let begun = executions.create(&new).await.unwrap();
    let id = begun.workflow_execution_id;
    assert_eq!((begun.status, executions.download_urls(&id).await.unwrap()), (ExecutionStatus::Pending, None));
    let listed: Vec<_> = executions.list(ExecutionFilter::OfWorkflow("w".to_owned())).try_collect().await.unwrap();
    assert_eq!(listed[0].workflow_execution_id, id);
    // Amazon's time is its own; asking is what everybody does.
    while !executions.get(&id).await.unwrap().status.is_over() {
        tokio::task::yield_now().await;
    }
    let urls = executions.download_urls(&id).await.unwrap().unwrap();
    assert!(urls.download_urls[0].contains(&id));
    let unknown = executions.get("unknown").await.unwrap_err();
    assert!(unknown.to_string().contains("does not exist"), "{unknown}");
}

#[tokio::test]
async fn typed_calls_tell_a_pause_a_failure_and_a_page_of_html_apart() {
    let amazon = Amazon::start(true).await;
    let advertiser = amazon.advertiser().await;
    let throttle = FaultKind::Throttle { retry_after_secs: Some(3600), as_date: false };
    amazon.sim.set_faults([Fault::new(throttle).on(Target::Api)]);
    let error = advertiser.instances_page(None).await.unwrap_err();
    assert_eq!(error.retry_after().map(|wait| wait.as_secs()), Some(3600), "{error}");
    amazon.sim.set_faults([Fault::new(FaultKind::HtmlOk {}).on(Target::Api)]);
    assert!(matches!(advertiser.instances_page(None).await, Err(Error::Unreadable(_))));
    let down = FaultKind::Status { status: 503, body: evergrant_sim::ErrorBody::Html };
    amazon.sim.set_faults([Fault::new(down).on(Target::Api)]);
    assert!(matches!(advertiser.instances_page(None).await, Err(Error::Api { status: 503, code: None, .. })));
    amazon.sim.set_faults([Fault::new(FaultKind::TruncatedBody {}).on(Target::Api)]);
    assert!(matches!(advertiser.instances_page(None).await, Err(Error::Network { maybe_executed: true, .. })));
    assert!(amazon.tokens.refused().is_empty());
}
