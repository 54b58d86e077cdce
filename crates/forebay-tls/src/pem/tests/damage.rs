//! A damaged file is refused with an explanation, or it is the same identity as before.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::pem::foreign;
use crate::samples::{Authority, Issued, assert_hides};
use crate::{Identity, Trust};
use forebay_testing::property;

/// Reads all of these texts, checks that no error shows the key, and counts the different errors.
fn refusals(contents: impl Iterator<Item = Vec<u8>>, leaf: &Issued) -> usize {
    let mut messages = BTreeSet::new();
    for content in contents {
        if let Err(error) = Identity::from_pem(content) {
            messages.insert(format!("{error}{error:?}"));
        }
    }
    for message in &messages {
        assert_hides(message, &leaf.key_pem);
    }
    messages.len()
}

#[test]
fn a_file_may_be_cut_off_anywhere() {
    let leaf = Authority::new("root").issue(&["localhost"]);
    let text = leaf.both().into_bytes();
    // The last byte is the end of a line, which may be missing.
    let heads = (0..text.len() - 1).map(|end| text[..end].to_vec());
    let count = refusals(heads.clone(), &leaf);
    assert!(count > 3, "{count} ways to say so");
    assert!(heads.map(Identity::from_pem).all(|result| result.is_err()));
    let tails = (1..text.len()).map(|start| text[start..].to_vec());
    assert!(refusals(tails.clone(), &leaf) > 3);
    assert!(tails.map(Identity::from_pem).all(|result| result.is_err()));
}

#[test]
fn any_byte_may_be_another_one() {
    let leaf = Authority::new("root").issue(&["localhost"]);
    let text = leaf.both().into_bytes();
    let damaged = (0..text.len()).flat_map(|at| {
        let text = &text;
        [0, b'\n', b'-', b'A', 0xff].map(move |other| {
            let mut damaged = text.clone();
            damaged[at] = other;
            damaged
        })
    });
    assert!(refusals(damaged, &leaf) > 3);
}

#[test]
fn anything_is_recognised_as_something() {
    let bytes = proptest::collection::vec(any::<u8>(), 0..200);
    property("recognise", 300, &(bytes, any::<bool>()), |(mut bytes, is_sequence)| {
        if let (Some(first), true) = (bytes.first_mut(), is_sequence) {
            *first = 0x30;
        }
        let found = foreign::recognise(&bytes);
        assert!(!found.what.is_empty() && !found.advice.is_empty());
        assert!(Identity::from_pem(&bytes).is_err());
        assert!(Trust::roots_pem(&bytes).is_err());
        assert!(Identity::from_der([bytes.clone()], bytes).is_err());
    });
}
