//! Random histories of rooms, compared with a model: the allowed acts, the state at any time, and the view of a
//! client that synchronises.

mod answers;
mod deeds;
mod model;
mod races;
mod restored;
mod rules;
mod sync;

use std::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};
use reeve_testkit::tokio::runtime::Handle;
use reeve_testkit::tokio::task::block_in_place;

/// Runs a test with random values, and shows the smallest one with which it fails. `PROPTEST_CASES` overrides
/// the number of runs, `cases`.
fn for_all<T: Debug, F: Future<Output = ()>>(
    cases: u32,
    strategy: &impl Strategy<Value = T>,
    test: impl Fn(T) -> F,
) {
    let cases = match std::env::var("PROPTEST_CASES") {
        Ok(cases) => cases.parse().unwrap(),
        Err(_) => cases,
    };
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 100, ..Config::default() };
    let outcome = block_in_place(|| {
        TestRunner::new(config).run(strategy, |value| {
            Handle::current().block_on(test(value));
            Ok(())
        })
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
