//! What comes out of the broker.

use evergrant_contract::event::Event;
use evergrant_contract::job::Job;

pub(crate) fn jobs(data: &[u8]) {
    match Job::decode(data) {
        Ok(job) => {
            let again = Job::decode(&job.encode());
            assert!(again.is_ok_and(|again| again == job), "a job that was read is not read back");
        }
        Err(error) => {
            // The place and a number: nothing else of a message ever gets into a log.
            let told = error.to_string();
            let is_ours = told.split(|c: char| c.is_ascii_digit()).all(|part| {
                [
                    "",
                    "not a job: unexpected content at line ",
                    "not a job: invalid JSON at line ",
                    " column ",
                    "job format ",
                    " is unknown to this release, which reads format ",
                ]
                .contains(&part)
            });
            assert!(is_ours, "an error quotes the message: {told}");
        }
    }
}

pub(crate) fn events(data: &[u8]) {
    if let Some(event) = Event::decode(data) {
        assert_eq!(Event::decode(&event.encode()), Some(event), "an event that was read is not read back");
    }
}
