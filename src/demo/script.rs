//! What goes wrong in the demo, and when.

use std::time::Duration;

use evergrant_sim::{ErrorBody, Fault, FaultKind, Sim};

/// Something that happens at the simulated Amazon.
pub(super) struct Scene {
    /// How long after the beginning.
    pub(super) at: Duration,
    /// What the viewer is told.
    pub(super) told: String,
}

/// Sets up everything that will go wrong, and says when. The same faults in every run; with few users, fewer of them.
pub(super) fn play(sim: &Sim, users: &[String]) -> Vec<Scene> {
    let outage = (Duration::from_secs(20), Duration::from_secs(26));
    sim.set_faults([
        Fault::new(FaultKind::Status { status: 503, body: ErrorBody::Html }).between(outage.0, outage.1),
        Fault::new(FaultKind::Status { status: 500, body: ErrorBody::Json }).with_probability(0.05),
    ]);
    let mut scenes = vec![
        scene(0, "one refresh in twenty will be answered with a 500"),
        scene(outage.0.as_secs(), "the provider goes down: 503 and a maintenance page for 6 seconds"),
        scene(outage.1.as_secs(), "the provider is up again"),
    ];
    let mut strike = |n: usize, kind: FaultKind, count: Option<u64>, told: &str| {
        if let Some(user) = users.get(n) {
            let fault = Fault::new(kind);
            sim.set_faults_for(user, [count.into_iter().fold(fault, Fault::times)]);
            scenes.push(scene(0, &format!("{user} {told}")));
        }
    };
    strike(3, FaultKind::LostReply {}, Some(1), "will be refreshed and the reply lost on its way");
    strike(
        5,
        FaultKind::Throttle { retry_after_secs: Some(3), as_date: false },
        Some(1),
        "will be told to slow down (429)",
    );
    strike(7, FaultKind::InvalidGrant {}, Some(1), "will get an invalid_grant that is not true");
    strike(9, FaultKind::InvalidGrant {}, None, "has removed the app in their Amazon account");
    scenes.sort_by_key(|scene| scene.at);
    scenes
}

fn scene(at_secs: u64, told: &str) -> Scene {
    Scene { at: Duration::from_secs(at_secs), told: told.to_owned() }
}
