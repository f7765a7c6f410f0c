//! What every queue must do. [`run`] makes a queue for a case, and no case may leave a job behind.

pub mod delivery;
pub mod ending;
mod steps;

use std::sync::Arc;

use evergrant_contract::job::JobKind;
use evergrant_contract::ports::JobQueue;

use super::Guard;

/// Runs one case on a fresh queue, unless there is no service to make it from. Fails if a job is left at its end.
pub async fn run(
    fresh: impl AsyncFnOnce() -> Option<(Arc<dyn JobQueue>, Guard)>,
    case: impl AsyncFnOnce(Arc<dyn JobQueue>),
) {
    let Some((queue, guard)) = fresh().await else { return };
    super::complete(case(Arc::clone(&queue))).await;
    for kind in JobKind::ALL {
        steps::until_depth(&*queue, *kind, 0).await;
    }
    drop(queue);
    drop(guard);
}

/// Makes one test of each thing that a queue must do.
///
/// `$fresh` is `async fn() -> Option<(Arc<dyn JobQueue>, Box<dyn Any + Send>)>`: an empty queue that lives as long as the
/// box, or `None` where the service that it needs is missing. A case fails if it leaves a job behind.
#[macro_export]
macro_rules! queue_conformance {
    ($fresh:path) => {
        $crate::conformance_cases! { $fresh; queue;
            delivery:
                every_job_arrives_as_it_was_published,
                jobs_wait_for_a_worker,
                thousands_are_published_at_once,
                many_publish_at_once,
                no_more_than_the_concurrency_are_in_hand,
                depth_leaves_out_those_in_hand,
                levels_tell_what_waits_and_who_works,
                a_backlog_of_one_kind_delays_no_other,
                two_workers_share,
                a_job_put_back_comes_again,
                a_job_put_back_goes_to_another_worker;
            ending:
                stopping_finishes_what_is_in_hand_and_leaves_the_rest,
                stopping_an_idle_worker_is_quick,
                a_stopped_worker_takes_nothing_more,
                a_handler_that_panics_stops_nobody;
        }
    };
}
