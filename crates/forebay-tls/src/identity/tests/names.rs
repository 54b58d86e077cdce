use std::net::IpAddr;

use rcgen::{KeyPair, SanType};

use crate::Identity;
use crate::samples::Authority;

#[test]
fn names_are_shown_as_people_write_them() {
    let addresses = ["127.0.0.1", "2001:db8::1"].map(|text| text.parse::<IpAddr>().unwrap());
    let key = KeyPair::generate().unwrap();
    let leaf = Authority::new("root").issue_with(&key, &["localhost"], |params| {
        params.subject_alt_names.extend(addresses.map(SanType::IpAddress));
    });
    let shown = format!("{:?}", Identity::from_pem(leaf.both()).unwrap());
    assert!(shown.contains(r#"["localhost", "127.0.0.1", "2001:db8::1"]"#), "{shown}");
}
