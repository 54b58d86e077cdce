use rcgen::{KeyPair, date_time_ymd};

use crate::Identity;
use crate::samples::Authority;

/// All orders of `count` things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in orders(count - 1) {
        for at in 0..count {
            let mut order = shorter.clone();
            order.insert(at, count - 1);
            all.push(order);
        }
    }
    all
}

#[test]
fn a_chain_of_four_and_its_key_may_stand_in_any_order() {
    let root = Authority::new("root");
    let first = root.authority("first");
    let second = first.authority("second");
    let leaf = second.issue(&["localhost"]);
    let parts = [leaf.pem, second.pem(), first.pem(), root.pem(), leaf.key_pem];
    let sorted = Identity::from_pem(parts.concat()).unwrap().current();
    assert_eq!(sorted.cert.len(), 4);
    assert_eq!(sorted.cert[0].as_ref(), leaf.der);
    let all = orders(parts.len());
    assert_eq!(all.len(), 120);
    for order in all {
        let text: String = order.iter().map(|index| parts[*index].as_str()).collect();
        let identity = Identity::from_pem(text).unwrap();
        assert_eq!(identity.current().cert, sorted.cert, "{order:?}");
    }
}

#[test]
fn strangers_and_repetitions_are_left_out() {
    let root = Authority::new("root");
    let intermediate = root.authority("intermediate");
    let leaf = intermediate.issue(&["localhost"]);
    let stranger = Authority::new("stranger").issue(&["elsewhere"]);
    let between = intermediate.pem();
    let text = [&stranger.pem, &between, &leaf.pem, &leaf.pem, &between, &leaf.key_pem];
    let text = text.map(String::as_str).concat();
    let chain = Identity::from_pem(text).unwrap().current();
    assert_eq!(chain.cert.len(), 2);
    assert_eq!(chain.cert[0].as_ref(), leaf.der);
}

/// A renewed authority keeps its name and has another key.
#[test]
fn of_two_authorities_with_one_name_the_issuer_is_taken() {
    let root = Authority::new("root");
    let (old, new) = (root.authority("issuer"), root.authority("issuer"));
    // The identifier of its key tells which of the two is the issuer (RFC 5280, section 4.2.1.1).
    let leaf = new.issue_with(&KeyPair::generate().unwrap(), &["localhost"], |params| {
        params.use_authority_key_identifier_extension = true;
    });
    let alone = Identity::from_pem(format!("{}{}", leaf.both(), new.pem())).unwrap();
    for (first, second) in [(&old, &new), (&new, &old)] {
        let text = format!("{}{}{}", first.pem(), second.pem(), leaf.both());
        assert_eq!(Identity::from_pem(text).unwrap().current().cert, alone.current().cert);
    }
}

/// Only the signature tells which of the two is the issuer.
#[test]
fn of_two_authorities_with_one_name_the_one_whose_key_has_signed_is_taken() {
    let root = Authority::new("root");
    let (old, new) = (root.authority("issuer"), root.authority("issuer"));
    for key in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        let key = KeyPair::generate_for(key).unwrap();
        let leaf = new.issue_with(&key, &["localhost"], |_| {});
        for (first, second) in [(&old, &new), (&new, &old)] {
            let text = format!("{}{}{}{}", first.pem(), second.pem(), root.pem(), leaf.both());
            let chain = Identity::from_pem(text).unwrap().current().cert.clone();
            assert_eq!(chain, [leaf.der.clone().into(), new.der.clone(), root.der.clone()]);
        }
    }
}

/// A root that a newer root has signed too, for peers that trust only the newer one.
#[test]
fn both_certificates_of_a_cross_signed_authority_are_kept() {
    let (root, newer) = (Authority::new("root"), Authority::new("newer"));
    let crossed = root.params.signed_by(&root.key, &newer.issuer()).unwrap();
    let leaf = root.issue(&["localhost"]);
    let text = format!("{}{}{}{}", newer.pem(), crossed.pem(), root.pem(), leaf.both());
    let chain = Identity::from_pem(text).unwrap().current().cert.clone();
    let expected = [leaf.der.into(), crossed.der().clone(), root.der, newer.der];
    assert_eq!(chain, expected);
}

/// A signature that the provider cannot check is no reason to leave an authority out.
#[test]
fn where_no_key_fits_every_authority_of_the_name_is_kept() {
    let root = Authority::new("root");
    let (old, new) = (root.authority("issuer"), root.authority("issuer"));
    let leaf = new.issue(&["localhost"]);
    let mut der = leaf.der.clone();
    *der.last_mut().unwrap() ^= 1;
    let chain = [der.clone(), old.der.to_vec(), new.der.to_vec()];
    let identity = Identity::from_der(chain.clone(), leaf.key_der).unwrap();
    assert_eq!(identity.current().cert, chain.map(Into::into));
}

#[test]
fn of_two_certificates_with_one_key_the_longer_valid_is_taken() {
    let root = Authority::new("root");
    let key = KeyPair::generate().unwrap();
    let until = |year| {
        root.issue_with(&key, &["localhost"], |params| {
            params.not_after = date_time_ymd(year, 1, 1);
        })
    };
    let (old, new) = (until(2030), until(2031));
    for (first, second) in [(&old, &new), (&new, &old)] {
        let text = format!("{}{}{}", first.pem, second.pem, old.key_pem);
        assert_eq!(Identity::from_pem(text).unwrap().current().cert[0].as_ref(), new.der);
    }
}

#[test]
fn other_sections_line_ends_and_words_between_do_no_harm() {
    let leaf = Authority::new("root").issue(&["localhost"]);
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let with_words =
        format!("Bag Attributes\n  friendlyName: it\n{}{parameters}{}", leaf.pem, leaf.key_pem);
    let with_returns = leaf.both().replace('\n', "\r\n");
    let with_mark = format!("\u{feff}{}", leaf.both());
    for text in [with_words, with_returns, with_mark] {
        assert_eq!(Identity::from_pem(text).unwrap().current().cert[0].as_ref(), leaf.der);
    }
}

#[test]
fn keys_of_each_kind_are_taken() {
    let root = Authority::new("root");
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let leaf = root.issue_with(&key, &["localhost"], |_| {});
        let of_pem = Identity::from_pem(leaf.both()).unwrap();
        let of_der = Identity::from_der([leaf.der], leaf.key_der).unwrap();
        assert_eq!(of_pem.current().cert, of_der.current().cert);
    }
}
