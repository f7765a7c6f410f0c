//! Every typed method: what it asks for, and what it makes of the answer.

use evergrant_amc::{Error, Fields, InstanceApi, NewInstance, Schedule, Workflow};
use futures::TryStreamExt as _;
use serde_json::{Value, json};

use crate::scripted::{Script, client, connection, held};
use crate::server::{Server, json};

fn instance(server: &Server) -> InstanceApi {
    let (client, _) = client(&Script::new(Ok(held(&server.url, "t", 1)), []));
    client.amc(connection()).advertiser("ENTITY1", "ATVPDKIKX0DER").instance("amc/1")
}

fn fields(value: Value) -> Fields {
    serde_json::from_value(value).unwrap()
}

/// Answers everything with an empty object.
async fn agreeable() -> Server {
    Server::start((0..50).map(|_| json(200, &json!({})))).await
}

#[tokio::test]
async fn every_list_is_read_to_its_end() {
    let pages = |key: &str, id: &str| {
        [
            json!({key: [{id: "a"}, {id: "b"}], "nextToken": "n/2"}),
            json!({key: [], "nextToken": "n3"}),
            json!({key: [{id: "c"}]}),
        ]
        .map(|page| json(200, &page))
    };
    macro_rules! reads {
        ($key:literal, $field:ident, $id:literal, $list:expr, $paths:expr) => {{
            let server = Server::start(pages($key, $id)).await;
            let instance = instance(&server);
            let items: Vec<_> = $list(&instance).try_collect().await.unwrap();
            let ids: Vec<_> = items.into_iter().map(|item| item.$field).collect();
            assert_eq!(ids, ["a", "b", "c"], $key);
            assert_eq!(server.lines(), $paths);
        }};
    }
    let lines = |line: &str, query: &str| {
        let joined = |more: &str| match format!("{query}{more}").trim_start_matches('&') {
            "" => line.to_owned(),
            query => format!("{line}?{query}"),
        };
        ["", "&nextToken=n%2F2", "&nextToken=n3"].map(joined)
    };
    let reporting = |what: &str| lines(&format!("GET /amc/reporting/amc%2F1/{what}"), "limit=100");
    reads!("workflows", workflow_id, "workflowId", |i: &InstanceApi| i.workflows().list(), reporting("workflows"));
    reads!("schedules", schedule_id, "scheduleId", |i: &InstanceApi| i.schedules().list(), reporting("schedules"));
    reads!(
        "audiences",
        audience_execution_id,
        "audienceExecutionId",
        |i: &InstanceApi| i.audiences().list(),
        lines("GET /amc/audiences/query", "")
    );
    reads!(
        "advertisers",
        advertiser_id,
        "advertiserId",
        InstanceApi::advertisers,
        lines("GET /amc/instances/amc%2F1/advertisers", "")
    );
    reads!(
        "dataSets",
        data_set_id,
        "dataSetId",
        |i: &InstanceApi| i.data_sets().list(),
        lines("POST /amc/advertiserData/amc%2F1/dataSets/list", "")
    );
    reads!(
        "uploads",
        upload_id,
        "uploadId",
        |i: &InstanceApi| i.data_sets().uploads(),
        lines("POST /amc/advertiserData/amc%2F1/uploads/list", "")
    );
}

#[tokio::test]
async fn a_list_that_turns_in_a_circle_ends() {
    let page = || json(200, &json!({"workflows": [], "nextToken": "same"}));
    let server = Server::start([page(), page(), page()]).await;
    let listed: Result<Vec<Workflow>, Error> = instance(&server).workflows().list().try_collect().await;
    assert!(matches!(listed, Err(Error::Unreadable(_))));
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn administration_says_for_which_account() {
    let server = agreeable().await;
    let (client, _) = client(&Script::new(Ok(held(&server.url, "t", 1)), []));
    let advertiser = client.amc(connection()).advertiser("ENTITY1", "ATVPDKIKX0DER");
    let new = NewInstance { instance_name: "n".to_owned(), ..NewInstance::default() };
    advertiser.create_instance(&new).await.unwrap();
    let instance = advertiser.instance("amc1");
    instance.details().await.unwrap();
    instance.update(&fields(json!({"instanceName": "m"}))).await.unwrap();
    instance.delete().await.unwrap();
    instance.update_customer_aws_account(&fields(json!({"awsAccountId": "0"}))).await.unwrap();
    instance.update_advertisers(&fields(json!({"advertisers": []}))).await.unwrap();
    instance.advertiser_updates().await.unwrap();
    let asked = server.asked();
    for asked in &asked {
        assert_eq!(asked.header("amazon-advertising-api-advertiserid"), "ENTITY1");
        assert_eq!(asked.header("amazon-advertising-api-marketplaceid"), "ATVPDKIKX0DER");
    }
    assert_eq!((asked[0].json(), asked[2].json()), (json!({"instanceName": "n"}), json!({"instanceName": "m"})));
    assert_eq!(asked[0].header("content-type"), "application/vnd.amcinstances.v1+json");
    let lines: Vec<_> = asked.iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect();
    assert_eq!(
        lines,
        [
            "POST /amc/instances",
            "GET /amc/instances/amc1",
            "PUT /amc/instances/amc1",
            "DELETE /amc/instances/amc1",
            "POST /amc/instances/amc1/updateCustomerAwsAccount",
            "POST /amc/instances/amc1/advertisers/updates",
            "GET /amc/instances/amc1/advertisers/updates",
        ]
    );
}

#[tokio::test]
async fn reporting_writes_what_amazon_documents() {
    let server = agreeable().await;
    let instance = instance(&server);
    let extra = fields(json!({"inputParameters": []}));
    let workflow = Workflow { workflow_id: "w".to_owned(), sql_query: "SELECT 1".to_owned(), extra };
    instance.workflows().create(&workflow).await.unwrap();
    instance.workflows().get("w").await.unwrap();
    instance.workflows().update(&workflow).await.unwrap();
    instance.workflows().delete("w").await.unwrap();
    let schedule = Schedule { schedule_id: "s".to_owned(), schedule_enabled: Some(false), ..Schedule::default() };
    instance.schedules().create(&schedule).await.unwrap();
    instance.schedules().get("s").await.unwrap();
    instance.schedules().update(&schedule).await.unwrap();
    instance.schedules().delete("s").await.unwrap();
    instance.executions().cancel("e").await.unwrap();
    let asked = server.asked();
    let bodies: Vec<_> = [0, 4, 8].map(|index: usize| asked[index].json()).into_iter().collect();
    assert_eq!(bodies[0], json!({"workflowId": "w", "sqlQuery": "SELECT 1", "inputParameters": []}));
    assert_eq!(bodies[1], json!({"scheduleId": "s", "scheduleEnabled": false}));
    assert_eq!(bodies[2], json!({"workflowExecutionId": "e", "status": "CANCELLED"}));
    let lines: Vec<_> = asked.iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect();
    let below = |line: &str| line.replacen(' ', " /amc/reporting/amc%2F1/", 1);
    let expected = [
        "POST workflows",
        "GET workflows/w",
        "PUT workflows/w",
        "DELETE workflows/w",
        "POST schedules",
        "GET schedules/s",
        "PUT schedules/s",
        "DELETE schedules/s",
        "PUT workflowExecutions/e",
    ];
    assert_eq!(lines, expected.map(below));
}

#[tokio::test]
async fn audiences_have_headers_of_their_own() {
    let server = agreeable().await;
    let audiences = instance(&server).audiences();
    let request = fields(json!({"audienceName": "a"}));
    audiences.create(&request).await.unwrap();
    audiences.create_lookalike(&request).await.unwrap();
    audiences.get("x").await.unwrap();
    audiences.update("x", &request).await.unwrap();
    audiences.cancel("x").await.unwrap();
    let asked = server.asked();
    for asked in &asked {
        assert_eq!(asked.header("amazon-advertising-api-entityid"), "ENTITY1");
        assert_eq!(asked.header("amazon-marketing-cloud-audience-instanceid"), "amc/1");
        assert_eq!(asked.header("amazon-advertising-api-advertiserid"), "");
    }
    let lines: Vec<_> = asked.iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect();
    let query = "/amc/audiences/query";
    let expected = [
        format!("POST {query}"),
        "POST /amc/audiences/lookalike".to_owned(),
        format!("GET {query}/x"),
        format!("PUT {query}/x"),
        format!("DELETE {query}/x"),
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn data_sets_and_uploads_are_read_wrapped_or_not() {
    let answers =
        [json!({"dataSet": {"dataSetId": "d", "period": "P1D"}}), json!({"uploadId": "u", "status": "SUCCEEDED"})];
    let server = Server::start(answers.map(|answer| json(200, &answer))).await;
    let data_sets = instance(&server).data_sets();
    let data_set = data_sets.get("d").await.unwrap();
    assert_eq!((data_set.data_set_id.as_str(), &data_set.extra["period"]), ("d", &json!("P1D")));
    assert_eq!(data_sets.upload("d", "u").await.unwrap().upload_id, "u");
    let below = |rest: &str| format!("GET /amc/advertiserData/amc%2F1/{rest}");
    assert_eq!(server.lines(), [below("dataSets/d"), below("uploads/d/u")]);
}

#[tokio::test]
async fn an_id_that_is_no_id_is_not_sent() {
    let server = agreeable().await;
    let instance = instance(&server);
    for id in ["", ".", "..", "../../v2"] {
        assert!(matches!(instance.workflows().get(id).await, Err(Error::BadPath(_))), "{id:?}");
    }
    assert!(server.lines().is_empty());
}
