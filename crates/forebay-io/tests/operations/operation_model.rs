//! Writes, copies, shares and ends in any order, against the oracle of `forebay-testing`.

use forebay_testing::{channels::ledgered, oracle::check_operations, property};
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
#[cfg_attr(miri, ignore = "ten thousand cases")]
fn every_operation_is_the_oracles() {
    property("operations", 10_000, &vec(any::<u8>(), 0..200), |bytes| {
        ledgered(|_| check_operations(&bytes));
    });
}
