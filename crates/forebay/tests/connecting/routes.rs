//! Routes that refuse, and an address without its zone: what `connect` says of them.

#![cfg(target_os = "linux")]

use forebay::{ErrorKind, Result};
use forebay_testing::{in_host, say};

use super::namespace::{Namespace, in_a_namespace};

fn add_routes(namespace: &Namespace) {
    for (kind, address) in ROUTES {
        assert!(namespace.ip(&["route", "add", kind, address]), "{kind}");
    }
}

/// Types of routes, with an address that each of them is for.
const ROUTES: [(&str, &str); 3] =
    [("blackhole", "192.0.2.1"), ("prohibit", "192.0.2.2"), ("unreachable", "192.0.2.3")];

#[test]
fn routes_that_refuse_are_told_from_wrong_arguments() {
    const NAME: &str = "routes_that_refuse_are_told_from_wrong_arguments";
    in_a_namespace(NAME, add_routes, || in_host(refused).unwrap());
}

async fn refused(selector: forebay::SelectorManager) -> Result<()> {
    // For a blackhole route `connect(2)` fails with EINVAL, for a prohibited one with EACCES.
    let expected = [
        (ErrorKind::Unreachable, "(Invalid argument, os error 22): ", "blackhole"),
        (ErrorKind::PermissionDenied, "(os error 13): ", "prohibit"),
        (ErrorKind::Unreachable, "(No route to host, os error 113): ", "check the network"),
    ];
    for ((_, address), (kind, cause, advice)) in ROUTES.into_iter().zip(expected) {
        let error = selector.tcp().connect((address, 80)).await.unwrap_err();
        say(&error.to_string());
        assert_eq!(error.kind(), kind, "{error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("connect {address}:80: ")), "{text}");
        assert!(text.contains(cause) && text.contains(advice), "{text}");
    }
    let error = selector.tcp().connect("[fe80::1]:80").await.unwrap_err();
    say(&error.to_string());
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("as in [fe80::1%eth0]:80"), "{error}");
    let error = selector.tcp().bind("[fe80::1]:80").await.unwrap_err();
    say(&error.to_string());
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("as in [fe80::1%eth0]:80"), "{error}");
    Ok(())
}
