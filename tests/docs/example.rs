use std::sync::Arc;

use evergrant_amc::{Client, ClientSettings, ConnectionId, RemoteSettings, RemoteTokens, Secret, SystemClock};
use futures::TryStreamExt as _;

/// The ids of all AMC instances that a connection can use.
pub async fn instances(
    evergrant: &str,
    api_key: &str,
    connection: &str,
) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let clock = Arc::new(SystemClock::new());
    let settings = RemoteSettings::new(evergrant.parse()?, Secret::new(api_key), clock.clone());
    // One of each for the whole process: they keep tokens and open connections.
    let tokens = RemoteTokens::new(settings)?;
    let client = Client::new(Arc::new(tokens), ClientSettings::new(clock))?;

    let connection: ConnectionId = connection.parse()?;
    let amc = client.amc(connection);
    let mut ids = Vec::new();
    for account in amc.accounts().await? {
        let advertiser = amc.advertiser(&account.account_id, &account.marketplace_id);
        let instances: Vec<_> = advertiser.instances().try_collect().await?;
        ids.extend(instances.into_iter().map(|instance| instance.instance_id));
    }
    Ok(ids)
}
