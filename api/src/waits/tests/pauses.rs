//! What operators have paused is told at once, and no job is made for it.

use evergrant_contract::controls::{Order, Pause, PauseTarget};
use evergrant_contract::ids::AuditId;
use evergrant_contract::job::JobKind;
use evergrant_contract::operations::{Action, AuditEntry};
use evergrant_contract::ports::{Clock as _, Controls as _};

use super::*;

const HOUR: Duration = Duration::from_hours(1);

impl World {
    fn line(&self, action: Action) -> AuditEntry {
        AuditEntry {
            id: AuditId::generate(),
            at: self.clock.now(),
            actor: "cli ada".to_owned(),
            action,
            subject: String::new(),
            reason: String::new(),
            outcome: String::new(),
        }
    }

    async fn pause(&self, target: &PauseTarget) {
        let order = Order { by: "cli ada".to_owned(), why: "a release".to_owned(), at: self.clock.now() };
        self.store.pause(&Pause { target: target.clone(), order }, &self.line(Action::Pause)).await.unwrap();
    }
}

fn paused(what: &str) -> Waited {
    Waited::Paused { retry_after: 60 * SECOND, message: format!("{what} paused by an operator: a release") }
}

#[tokio::test]
async fn each_pause_is_told_at_once_with_its_reason_and_nothing_is_asked_for() {
    let world = World::without_workers().await;
    let id = world.connection(HOUR).await;
    let pauses = [
        (PauseTarget::Connection(id), "Refreshes of this connection are"),
        (PauseTarget::App("amazon-na".parse().unwrap()), "Refreshes of amazon-na are"),
        (PauseTarget::Queue(JobKind::ForceRefresh), "Forced refreshes are"),
    ];
    for (target, told) in pauses {
        world.pause(&target).await;
        assert_eq!(world.waits.refresh(ask(id, 1)).await, paused(told), "{target}");
        world.store.resume(&target, &world.line(Action::Resume)).await.unwrap().expect("it was paused");
    }
    assert_eq!(world.jobs(), []);
}

#[tokio::test]
async fn a_newer_version_answers_and_a_pause_of_others_is_no_obstacle() {
    let world = World::new().await;
    let id = world.connection(HOUR).await;
    world.pause(&PauseTarget::Queue(JobKind::RefreshDue)).await;
    world.pause(&PauseTarget::App("amazon-eu".parse().unwrap())).await;
    let caller = world.refused(id, 1);
    assert_eq!(world.answered(caller).await, refreshed(2));
    world.pause(&PauseTarget::Connection(id)).await;
    assert_eq!(world.waits.refresh(ask(id, 1)).await, refreshed(2), "what is stored needs no refresh");
}

#[tokio::test]
async fn one_that_is_paused_while_somebody_waits_is_told_as_that() {
    let world = World::without_workers().await;
    let id = world.connection(HOUR).await;
    let caller = world.refused(id, 1);
    world.clock.advance(SECOND).await;
    assert!(!caller.is_finished(), "no worker runs");
    world.pause(&PauseTarget::Connection(id)).await;
    assert_eq!(world.answered(caller).await, paused("Refreshes of this connection are"));
}
