use std::net::IpAddr;

use rcgen::SanType;

use crate::Identity;
use crate::samples::{self, Authority};

#[test]
fn names_are_shown_as_people_write_them() {
    let mut params = samples::leaf("localhost");
    let addresses = ["127.0.0.1", "2001:db8::1"].map(|text| text.parse::<IpAddr>().unwrap());
    params.subject_alt_names.extend(addresses.map(SanType::IpAddress));
    let leaf = Authority::new("root").issue(&params, &rcgen::KeyPair::generate().unwrap());
    let shown = format!("{:?}", Identity::from_pem(leaf.both()).unwrap());
    assert!(shown.contains(r#"["localhost", "127.0.0.1", "2001:db8::1"]"#), "{shown}");
}
