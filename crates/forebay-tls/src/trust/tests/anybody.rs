//! Every peer is accepted, with a warning.

use std::process::Command;

use rcgen::date_time_ymd;

use super::{Authority, accept_any, ask, ask_client};
use crate::Trust;

const HOST: &str = "www.example.com";

#[test]
fn everybody_is_everybody() {
    let root = Authority::new("the root");
    let leaf = root.leaf_with(&[], |params| params.not_after = date_time_ymd(2029, 2, 1));
    let trust = accept_any();
    ask(&trust, HOST, std::slice::from_ref(&leaf)).unwrap();
    ask(&trust, HOST, &[vec![0; 40].into()]).unwrap();
    ask_client(&trust, &[leaf]).unwrap();
}

/// Set in the child process, whose standard error is examined.
const CHILD: &str = "FOREBAY_TEST_WARNING";

#[test]
fn the_warning_is_given_once_for_each_that_was_made() {
    if std::env::var_os(CHILD).is_some() {
        let leaf = [Authority::new("the root").leaf(&[HOST])];
        let (first, second) = (Trust::dangerous_accept_any(), Trust::dangerous_accept_any());
        for trust in [&first, &first.clone(), &second, &first] {
            ask(trust, HOST, &leaf).unwrap();
        }
        return;
    }
    let name = "trust::tests::anybody::the_warning_is_given_once_for_each_that_was_made";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("forebay: warning: a TlsConfig accepts any certificate").count(), 2);
}
